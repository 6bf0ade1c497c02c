import assert from 'node:assert/strict';

/** Asserts that a call rejects wrong arguments at once, and names the accepted values and the value. */
export type Refuse = (args: unknown[], code: string, message: RegExp) => void;

export function refusalsOf(call: (...args: never[]) => unknown): Refuse {
  return (args, code, message) => {
    assert.throws(
      () => call(...(args as never[])),
      (error: Error & { code: string }) => {
        assert.equal(error.code, code, `${error}`);
        assert.match(error.message, message);
        assert.match(error.message, /must be .*; got /);
        return true;
      },
    );
  };
}
