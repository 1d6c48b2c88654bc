/** Standard input and output of this process as one byte stream, for programs whose output is a protocol. */
import process from "node:process"
import { Cause, Effect, Schedule, Schema, type Scope } from "effect"
import { Signal } from "../../core/actor/Signal.ts"
import type { Duplex } from "../../core/net/Duplex.ts"

/** The other program closed its end. */
export class StdioClosed extends Schema.TaggedError<StdioClosed>()("StdioClosed", { detail: Schema.String }) {}

/** Standard input and output, and who is at their other end. */
export interface ProcessStdio extends Duplex<StdioClosed> {
  /** Completes when the program that started this one is gone; asked for every now and then, while somebody waits. */
  readonly orphaned: Effect.Effect<void>
}

/** Input that nobody takes fills the pipe, and its writer waits; a write is done when the pipe has taken the bytes. */
export const open: Effect.Effect<ProcessStdio, never, Scope.Scope> = Effect.gen(function* () {
  const { ppid: parent, stdin, stdout } = process
  const changed = new Signal()
  let chunks: Array<Uint8Array> = []
  let hasEnded = false
  // Flowing, because a stream of Node that is asked for each chunk takes a turn of its queue more for it.
  const onData = (chunk: Buffer) => {
    chunks.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    if (!changed.isAwaited && chunks.length >= CHUNKS_MAX) stdin.pause()
    changed.raise()
  }
  const onEnd = () => {
    hasEnded = true
    changed.raise()
  }
  // Without a listener a reader that went away would end the process before it could say goodbye.
  const onOutputError = () => {}
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      stdin.on("data", onData).on("end", onEnd).on("error", onEnd).on("close", onEnd)
      stdout.on("error", onOutputError)
    }),
    () =>
      Effect.sync(() => {
        stdin.off("data", onData).off("end", onEnd).off("error", onEnd).off("close", onEnd).pause()
        // A file, such as /dev/null, keeps no process alive, and has no such method.
        if ("unref" in stdin) stdin.unref()
      })
  )
  const isThere = () => chunks.length > 0 || hasEnded
  const read: Duplex<StdioClosed>["read"] = Effect.suspend(() => {
    const [first, ...others] = chunks
    if (first !== undefined) {
      chunks = others
      if (others.length === 0 && stdin.isPaused()) stdin.resume()
      return Effect.succeed(first)
    }
    return hasEnded ? Cause.done() : Effect.andThen(changed.waitUnless(isThere), read)
  })
  return {
    read,
    write: (bytes) =>
      Effect.callback((resume) => {
        stdout.write(bytes, (error) => resume(error ? new StdioClosed({ detail: error.message }) : Effect.void))
      }),
    end: Effect.void,
    orphaned: Effect.asVoid(
      Effect.repeat(
        Effect.sync(() => process.ppid !== parent),
        { until: (isGone) => isGone, schedule: Schedule.spaced(PARENT_POLL) }
      )
    )
  }
})

const PARENT_POLL = "100 millis"
/** Chunks of at most 64 KB that wait for a reader before the pipe is no longer read. */
const CHUNKS_MAX = 2
