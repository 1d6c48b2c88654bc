/** Standard input and output of this process as one byte stream, for programs whose output is a protocol. */
import process from "node:process"
import { Cause, Effect, Latch, Schema, type Scope } from "effect"
import type { Duplex } from "../core/net/Duplex.ts"

/** The other program closed its end. */
export class StdioClosed extends Schema.TaggedError<StdioClosed>()("StdioClosed", { detail: Schema.String }) {}

/** Input that nobody takes fills the pipe, and its writer waits; a write is done when the pipe has taken the bytes. */
export const open: Effect.Effect<Duplex<StdioClosed>, never, Scope.Scope> = Effect.gen(function* () {
  const { stdin, stdout } = process
  const changed = Latch.makeUnsafe(false)
  let hasEnded = false
  const onReadable = () => changed.openUnsafe()
  const onEnd = () => {
    hasEnded = true
    changed.openUnsafe()
  }
  // Without a listener a reader that went away would end the process before it could say goodbye.
  const onOutputError = () => {}
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      stdin.on("readable", onReadable).on("end", onEnd).on("error", onEnd).on("close", onEnd)
      stdout.on("error", onOutputError)
    }),
    () =>
      Effect.sync(() => {
        stdin.off("readable", onReadable).off("end", onEnd).off("error", onEnd).off("close", onEnd).pause()
        // A file, such as /dev/null, keeps no process alive, and has no such method.
        if ("unref" in stdin) stdin.unref()
      })
  )
  const read: Duplex<StdioClosed>["read"] = Effect.suspend(() => {
    const chunk: Buffer | null = stdin.read()
    if (chunk !== null) return Effect.succeed(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    if (hasEnded) return Cause.done()
    changed.closeUnsafe()
    return Effect.andThen(changed.await, read)
  })
  return {
    read,
    write: (bytes) =>
      Effect.callback((resume) => {
        stdout.write(bytes, (error) => resume(error ? new StdioClosed({ detail: error.message }) : Effect.void))
      }),
    end: Effect.void
  }
})
