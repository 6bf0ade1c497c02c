#!/bin/sh
# Makes the certificates of this folder anew: `sh test/helpers/certificates/make.sh`. They are for tests only,
# valid for a century, and their keys are no secret. Needs OpenSSL 1.1.1 or later.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f ./*.pem

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1-key.pem"; }

# authority <file> <name>
authority() {
  key "$1"
  openssl req -x509 -new -key "$1-key.pem" -subj "/CN=$2" -days 36500 -sha256 -out "$1.pem" \
    -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

# certificate <file> <authority> <name> <alternative names> <from> <until>
certificate() {
  key "$1"
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
basicConstraints = CA:false
subjectAltName = $4
CONFIG
  openssl ca -batch -notext -config "$work/ca.cnf" -cert "$2.pem" -keyfile "$2-key.pem" \
    -startdate "$5" -enddate "$6" -in "$work/$1.csr" -out "$1.pem" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
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
rm -f ca-key.pem unknown-ca-key.pem
chmod 644 ./*.pem
