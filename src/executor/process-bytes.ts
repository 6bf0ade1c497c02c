/** Arguments as bytes: a process takes no ports, and shares no memory. */
import { DefaultSerializer, serialize } from 'node:v8';

/** The hook of {@link DefaultSerializer} for subclasses, which its types lack. */
interface WritesViews {
  _writeHostObject(view: ArrayBufferView): void;
}

const copyView = (DefaultSerializer.prototype as unknown as WritesViews)._writeHostObject;

/** As `v8.serialize()`, which copies the part of shared memory that a view shows, and says nothing. */
class ProcessSerializer extends DefaultSerializer implements WritesViews {
  _writeHostObject(view: ArrayBufferView): void {
    if (isShared(view)) throw new TypeError('memory that is shared cannot be copied to a process');
    copyView.call(this, view);
  }
}

export function toBytes(value: unknown): Uint8Array {
  // Bun has none of its own.
  if (process.versions.bun !== undefined) return serialize(value);
  const serializer = new ProcessSerializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}

/** Whether a value is shared memory, or a view of it. */
export function isShared(value: unknown): boolean {
  return (ArrayBuffer.isView(value) ? value.buffer : value) instanceof SharedArrayBuffer;
}
