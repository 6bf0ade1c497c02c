/** Converts arguments to bytes, because a process cannot receive ports and shares no memory. */
import { node } from '../platform/node-modules.ts';

/** The hook of `v8.DefaultSerializer`, which is missing in its types. */
interface WritesViews {
  _writeHostObject(view: ArrayBufferView): void;
}

/**
 * Serializes as `v8.serialize()` does, but throws for shared memory. `v8.serialize()` silently copies the
 * part that a view shows.
 */
export function toBytes(value: unknown): Uint8Array {
  // Bun has no `DefaultSerializer` of its own.
  if (process.versions.bun !== undefined) return node.v8.serialize(value);
  const serializer = new node.v8.DefaultSerializer();
  const views = serializer as unknown as WritesViews;
  const copyView = views._writeHostObject;
  views._writeHostObject = (view) => {
    if (isShared(view)) throw new TypeError('shared memory cannot be copied to a process');
    copyView.call(views, view);
  };
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}

/** Returns true if a value is shared memory, or a view of it. */
export function isShared(value: unknown): boolean {
  return (ArrayBuffer.isView(value) ? value.buffer : value) instanceof SharedArrayBuffer;
}
