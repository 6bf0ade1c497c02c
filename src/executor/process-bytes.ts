/** Converts arguments to bytes, because a process cannot receive ports and shares no memory. */
import { DefaultSerializer, serialize } from 'node:v8';

/** The hook of {@link DefaultSerializer} for subclasses, which is missing in its types. */
interface WritesViews {
  _writeHostObject(view: ArrayBufferView): void;
}

const copyView = (DefaultSerializer.prototype as unknown as WritesViews)._writeHostObject;

/**
 * Serializes as `v8.serialize()` does, but throws for shared memory. `v8.serialize()` silently copies the
 * part that a view shows.
 */
class ProcessSerializer extends DefaultSerializer implements WritesViews {
  _writeHostObject(view: ArrayBufferView): void {
    if (isShared(view)) throw new TypeError('shared memory cannot be copied to a process');
    copyView.call(this, view);
  }
}

export function toBytes(value: unknown): Uint8Array {
  // Bun has no `DefaultSerializer` of its own.
  if (process.versions.bun !== undefined) return serialize(value);
  const serializer = new ProcessSerializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}

/** Returns true if a value is shared memory, or a view of it. */
export function isShared(value: unknown): boolean {
  return (ArrayBuffer.isView(value) ? value.buffer : value) instanceof SharedArrayBuffer;
}
