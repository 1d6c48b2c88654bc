/**
 * `connect` without a message: what is typed or piped goes to the peer, what the peer sends is printed, until either side
 * is done. The end of the input ends this side's half of the stream where the peer knows halves; a peer of the reference
 * would stop answering, so there it stays open until the answer is there and a moment of silence.
 */
import { Cause, type Duration, Effect, Exit, Fiber, Option, Result, Stdio, Stream } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DurationText from "../../core/data/DurationText.ts"
import * as CliError from "../CliError.ts"
import { type Environment, type Input, type Output, silent } from "../Command.ts"
import * as Terminal from "../Terminal.ts"
import type * as Channel from "./Channel.ts"

/** Standard input as it comes. */
export interface Typed {
  readonly isTerminal: boolean
  /** The next bytes; none at the end. */
  readonly next: Effect.Effect<Uint8Array | undefined>
}

/** Opens standard input; one that is empty from the start, and no terminal, is a mistake of whoever typed the command. */
export const typed: Effect.Effect<Typed, CliError.CliError, Environment> = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const isTerminal = yield* stdio.stdinIsTerminal
  const pull = yield* Stream.toPull(stdio.stdin)
  const read = Effect.map(pull, (chunks) => Bytes.concat(...chunks))
  const more: Effect.Effect<Uint8Array | undefined> = Effect.catch(
    Effect.flatMap(read, (bytes) => (bytes.length === 0 ? more : Effect.succeed(bytes))),
    () => Effect.succeed(undefined)
  )
  if (isTerminal) return { isTerminal, next: more }
  let first = yield* more
  if (first === undefined) return yield* CliError.invalidArgument("no data on stdin — use --message or pipe data")
  const next = Effect.suspend(() => {
    const held = first
    first = undefined
    return held === undefined ? more : Effect.succeed(held)
  })
  return { isTerminal, next }
})

/** All of it as a message, its last newline gone. */
export const whole = Effect.fnUntraced(function* (
  input: Typed,
  bytesMax: number
): Effect.fn.Return<string, CliError.CliError> {
  const chunks: Array<Uint8Array> = []
  let sizeBytes = 0
  for (let chunk = yield* input.next; chunk !== undefined; chunk = yield* input.next) {
    sizeBytes += chunk.length
    if (sizeBytes > bytesMax) return yield* CliError.invalidArgument(`standard input is longer than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Bytes.toUtf8Lossy(Bytes.concat(...chunks))
    .replaceAll("\r\n", "\n")
    .replace(/\n$/, "")
})

/** Both directions until they are done. `timeout` counts from the end of the input, anew with all that arrives. */
export const run = Effect.fnUntraced(function* (
  input: Pick<Input, "json">,
  options: {
    readonly from: Typed
    readonly channel: Channel.Channel
    readonly halfCloses: Effect.Effect<boolean>
    /** Of silence; undefined waits for ever. */
    readonly timeout: Duration.Duration | undefined
  }
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const { channel, from, halfCloses, timeout } = options
  let sentBytes = 0
  let receivedBytes = 0
  const sending = yield* Effect.forkScoped(
    Effect.gen(function* () {
      for (let chunk = yield* from.next; chunk !== undefined; chunk = yield* from.next) {
        yield* channel.write(chunk)
        sentBytes += chunk.length
      }
      const knowsHalves = yield* halfCloses
      if (knowsHalves) yield* channel.endWriting
      return knowsHalves
    })
  )
  // Counted from the end of the input: before that somebody may be thinking.
  const silence = Effect.flatMap(Effect.exit(Fiber.join(sending)), (sent) => {
    const isAnswered = receivedBytes > 0 && !(Exit.isSuccess(sent) && sent.value)
    return isAnswered ? Effect.sleep(LINGER) : timeout === undefined ? Effect.never : Effect.sleep(timeout)
  })
  while (true) {
    const got = yield* Effect.raceFirst(Effect.asSome(Effect.result(channel.read)), Effect.as(silence, Option.none()))
    if (Option.isNone(got)) {
      if (receivedBytes > 0 || timeout === undefined) return silent()
      const hint = "increase with --timeout, or check if the target is listening on that port"
      return yield* CliError.make("timeout", `no response within ${DurationText.format(timeout)}`, hint)
    }
    if (Result.isFailure(got.value)) {
      if (!Cause.isDone(got.value.failure)) return yield* got.value.failure
      if (receivedBytes === 0) yield* Terminal.note(input, `sent ${sentBytes} bytes (no response)`)
      return silent()
    }
    receivedBytes += got.value.success.length
    yield* Terminal.write(got.value.success)
  }
})

/** What a peer of the reference still says after its first answer. */
const LINGER = "300 millis"
