/** A terminal for tests: a program has its other side. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A pseudoterminal of a helper in Python; `path` opens this side. */
export async function terminal(): Promise<{
  path: string;
  ask: (line: string) => Promise<string>;
  end: () => Promise<void>;
}> {
  const python = spawn(
    'python3',
    [
      '-c',
      `import os,pty,sys,tty
m,s=pty.openpty(); tty.setraw(s); print(os.ttyname(s),flush=True)
for line in sys.stdin:
    word,_,rest=line.rstrip('\\n').partition(' ')
    if word=='type': os.write(m,rest.encode()); print('ok',flush=True)
    elif word=='read': print(len(os.read(m,int(rest))),flush=True)
    elif word=='hangup': os.close(m); os.close(s); print('ok',flush=True)`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface(python.stdout)[Symbol.asyncIterator]();
  const answer = async (): Promise<string> => String((await lines.next()).value);
  const path = await answer();
  return {
    path,
    ask: (line) => {
      python.stdin.write(`${line}\n`);
      return answer();
    },
    end: async () => {
      python.stdin.end();
      await once(python, 'close');
    },
  };
}
