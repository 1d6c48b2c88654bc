/** Standard input and output of this process as one byte stream, for programs whose output is a protocol. */
import process from "node:process"
import { type Cause, Effect, Queue, Schema, type Scope } from "effect"
import type { Duplex } from "../core/net/Duplex.ts"

/** The other program closed its end. */
export class StdioClosed extends Schema.TaggedError<StdioClosed>()("StdioClosed", { detail: Schema.String }) {}

/** Reads while somebody asks; a write is done when the pipe has taken the bytes. */
export const open: Effect.Effect<Duplex<StdioClosed>, never, Scope.Scope> = Effect.gen(function* () {
  const { stdin, stdout } = process
  const chunks = yield* Queue.unbounded<Uint8Array, StdioClosed | Cause.Done>()
  const onData = (chunk: Buffer) => {
    // One chunk at a time: the next is read when this one has been taken.
    stdin.pause()
    Queue.offerUnsafe(chunks, new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
  }
  const onEnd = () => Queue.endUnsafe(chunks)
  const onError = () => Queue.endUnsafe(chunks)
  // Without a listener a reader that went away would end the process before it could say goodbye.
  const onOutputError = () => {}
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      stdin.on("data", onData).on("end", onEnd).on("error", onError).pause()
      stdout.on("error", onOutputError)
    }),
    () =>
      Effect.sync(() => {
        stdin.off("data", onData).off("end", onEnd).off("error", onError).pause()
        stdin.unref()
      })
  )
  return {
    read: Effect.suspend(() => {
      stdin.resume()
      return Queue.take(chunks)
    }),
    write: (bytes) =>
      Effect.callback((resume) => {
        stdout.write(bytes, (error) => resume(error ? new StdioClosed({ detail: error.message }) : Effect.void))
      }),
    end: Effect.void
  }
})
