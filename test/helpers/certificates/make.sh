#!/bin/sh
# Makes the certificates of this folder anew: `sh test/helpers/certificates/make.sh`. They are for tests only,
# valid for a century, and their keys are no secret. Needs OpenSSL 1.1.1 or later.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f ./*.pem ./*.pfx

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1-key.pem"; }

# authority <file> <name>
authority() {
  key "$1"
  openssl req -x509 -new -key "$1-key.pem" -subj "/CN=$2" -days 36500 -sha256 -out "$1.pem" \
    -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

rsa_key() { openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1-key.pem" 2> "$work/log"; }

# certificate <file> <authority> <name> <alternative names> <from> <until> [kind of key] [CA:true] [extension]
certificate() {
  "${7:-key}" "$1"
  openssl req -new -key "$1-key.pem" -subj "/CN=$3" -out "$work/$1.csr"
  : > "$work/index.txt"
  printf 'unique_subject = no\n' > "$work/index.txt.attr"
  cat > "$work/ca.cnf" <<CONFIG
[ca]
default_ca = own
[own]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
basicConstraints = ${8:-CA:false}
subjectAltName = $4
${9:-}
CONFIG
  openssl ca -batch -notext -config "$work/ca.cnf" -cert "$2.pem" -keyfile "$2-key.pem" \
    -startdate "$5" -enddate "$6" -in "$work/$1.csr" -out "$1.pem" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
}

# crl <file> <authority> <last update> <next update> <revoked certificate>
crl() {
  : > "$work/crl-index.txt"
  cat > "$work/crl.cnf" <<CONFIG
[ca]
default_ca = own
[own]
database = $work/crl-index.txt
default_md = sha256
CONFIG
  openssl ca -config "$work/crl.cnf" -cert "$2.pem" -keyfile "$2-key.pem" -revoke "$5.pem" 2> "$work/log"
  openssl ca -config "$work/crl.cnf" -cert "$2.pem" -keyfile "$2-key.pem" -gencrl -crl_lastupdate "$3" \
    -crl_nextupdate "$4" -out "$1.pem" 2> "$work/log"
}

from=20240101000000Z
until=21240101000000Z
here='DNS:localhost,IP:127.0.0.1,IP:::1'
authority ca 'gyre test authority'
authority unknown-ca 'an authority that nobody trusts'
certificate server ca localhost "$here" "$from" "$until"
certificate other ca other.test 'DNS:other.test,DNS:*.other.test' "$from" "$until"
certificate client ca 'a client' 'DNS:client.test' "$from" "$until"
certificate expired ca localhost "$here" 20200101000000Z 20210101000000Z
certificate untrusted unknown-ca localhost "$here" "$from" "$until"
key self-signed
openssl req -x509 -new -key self-signed-key.pem -subj /CN=localhost -days 36500 -sha256 -out self-signed.pem \
  -addext "subjectAltName=$here"
openssl genpkey -algorithm ed25519 -out steady-key.pem
openssl req -x509 -new -key steady-key.pem -subj /CN=localhost -days 36500 -out steady.pem \
  -addext "subjectAltName=$here"
certificate rsa ca localhost "$here" "$from" "$until" rsa_key CA:false \
  'authorityInfoAccess = OCSP;URI:http://ocsp.test/,caIssuers;URI:http://ca.test/ca.pem'
certificate intermediate ca 'gyre test intermediate' 'DNS:intermediate.test' "$from" "$until" key CA:true
certificate chained intermediate localhost "$here" "$from" "$until"
cat intermediate.pem >> chained.pem
certificate revoked ca 'a revoked client' 'DNS:client.test' "$from" "$until"
crl crl ca "$from" "$until" revoked
crl expired-crl ca "$from" 20240201000000Z revoked
openssl pkcs8 -topk8 -in server-key.pem -out locked-key.pem -v2 aes-256-cbc -passout 'pass:open sesame'
openssl pkcs12 -export -in server.pem -inkey server-key.pem -certfile ca.pem -passout 'pass:open sesame' \
  -out server.pfx
openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out dhparam.pem
rm -f intermediate-key.pem ca-key.pem unknown-ca-key.pem
chmod 644 ./*.pem ./*.pfx
