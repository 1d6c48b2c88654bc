/** Commands that measure the way to a peer by its echo port: ping, traceroute, bench (cli §8). */
import { Cause, Clock, Duration, Effect, Option, Result } from "effect"
import type { IpcConnection } from "../../actors/ipc/IpcClient.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DurationText from "../../core/data/DurationText.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Flag, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Render from "../Render.ts"
import * as Terminal from "../Terminal.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"
import * as Values from "../Values.ts"
import * as PingText from "./PingText.ts"
import * as Why from "./why.ts"

const TIMEOUT: Flag = { name: "timeout", value: "duration", summary: "how long in all (default 30s)" }
const TIMEOUT_EACH: Flag = {
  ...TIMEOUT,
  summary: "how long for the peer to grant trust, and then in all (default 30s)"
}

const ping: Command = {
  name: "ping",
  usage: "<address|hostname>",
  summary: "Round trips to a peer's echo port, each with a stream of its own",
  returns: "target, results [seq, bytes, rtt_ms or error], timeout",
  flags: [{ name: "count", value: "number", summary: "how many (default 4)" }, TIMEOUT_EACH],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(ping, input, 0))
    const count = yield* Effect.fromResult(Values.count(input, "count", 4))
    const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", DEFAULT_TIMEOUT))
    const client = yield* DaemonClient.connect
    const address = yield* DaemonClient.target(client, input, text)
    const target = Address.format(address)
    if (!input.json) yield* Terminal.line(`PING ${target}`)
    const results: Array<JsonObject> = []
    const wanted = echoOf(address, text, timeout, "ping")
    const all = Effect.gen(function* () {
      while (results.length < count) {
        if (results.length > 0) yield* Effect.sleep(PING_INTERVAL)
        const result = yield* pingOnce(client, wanted, results.length)
        results.push(result.row)
        if (!input.json) yield* Terminal.line(result.human)
      }
    })
    const pinging = TrustFirst.retrying(client, input, wanted, Effect.timeoutOption(all, timeout))
    const isTimeout = Option.isNone(yield* Effect.mapError(pinging, asTold(wanted)))
    if (isTimeout && !input.json) yield* Terminal.line("timeout")
    yield* Why.note(client, input, address.node)
    return output({ results: results.length === 0 ? null : results, target, timeout: isTimeout }, "")
  })
}

const traceroute: Command = {
  name: "traceroute",
  usage: "<address|hostname>",
  summary: "How long a stream to a peer takes to open, and three round trips over it",
  returns: "target, setup_ms, rtt_samples [bytes, rtt_ms] or error",
  flags: [TIMEOUT_EACH],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(traceroute, input, 0))
    const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", DEFAULT_TIMEOUT))
    const client = yield* DaemonClient.connect
    const address = yield* DaemonClient.target(client, input, text)
    const target = Address.format(address)
    if (!input.json) yield* Terminal.line(`TRACEROUTE ${target}`)
    const wanted = echoOf(address, text, timeout, "traceroute")
    const dialling = Effect.timed(Effect.timeoutOption(dialled(client, wanted), timeout))
    const [setup, dialResult] = yield* Effect.mapError(
      TrustFirst.retrying(client, input, wanted, dialling),
      asTold(wanted)
    )
    const setupMs = milliseconds(setup)
    const unreachable = (error: string) =>
      output({ error, setup_ms: setupMs, target }, `  1  ${target}  error: ${error}`)
    if (Option.isNone(dialResult)) return unreachable("dial timeout")
    if (Result.isFailure(dialResult.value))
      return unreachable(DaemonClient.failure("", dialResult.value.failure).message)
    if (!input.json) yield* Terminal.line(`  1  ${target}  setup=${PingText.elapsed(Duration.toMillis(setup))}`)
    const samples: Array<JsonObject> = []
    const connection = dialResult.value.success
    const left = Duration.subtract(timeout, setup)
    while (samples.length < TRACES) {
      const echo = Effect.andThen(connection.write(Bytes.fromUtf8(`trace-${samples.length}`)), connection.read)
      const [rtt, echoed] = yield* Effect.timed(Effect.timeoutOption(Effect.result(echo), left))
      if (Option.isNone(echoed)) {
        if (!input.json) yield* Terminal.line("     timeout")
        return output({ error: "timeout", rtt_samples: samples, setup_ms: setupMs, target }, "")
      }
      if (Result.isFailure(echoed.value)) {
        const { failure } = echoed.value
        const error = Cause.isDone(failure) ? "closed before the echo" : DaemonClient.failure("", failure).message
        if (!input.json) yield* Terminal.line(`     error: ${error}`)
        return output({ error, rtt_samples: samples, setup_ms: setupMs, target }, "")
      }
      const bytes = echoed.value.success.length
      samples.push({ bytes, rtt_ms: milliseconds(rtt) })
      if (!input.json) yield* Terminal.line(`     rtt=${PingText.elapsed(Duration.toMillis(rtt))} bytes=${bytes}`)
    }
    return output({ rtt_samples: samples, setup_ms: setupMs, target }, TRACE_LEGEND)
  })
}

const bench: Command = {
  name: "bench",
  usage: "<address|hostname> [size_mb]",
  summary: "Sends a megabyte, or as many as said, to a peer's echo port and reads them back",
  returns: "target, sent_bytes, recv_bytes, send_duration_ms, send_mbps, total_duration_ms, total_mbps (MiB/s)",
  flags: [{ ...TIMEOUT, summary: "how long for the peer to grant trust, and then in all (default 120s)" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(bench, input, 0))
    const sizeBytes = yield* Effect.fromResult(sizeOf(input.positionals[1] ?? "1"))
    const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", BENCH_TIMEOUT))
    const client = yield* DaemonClient.connect
    const address = yield* DaemonClient.target(client, input, text)
    const target = Address.format(address)
    const wanted = echoOf(address, text, timeout, "bench")
    const connection = yield* TrustFirst.dial(client, input, wanted)
    if (!input.json) yield* Terminal.line(`BENCH ${target} — sending ${Render.size(sizeBytes)} via echo port`)
    const measured = yield* Effect.timeoutOption(DaemonClient.ask("bench", echoAll(connection, sizeBytes)), timeout)
    if (Option.isNone(measured))
      return yield* CliError.make(
        "timeout",
        `not echoed within ${DurationText.format(timeout)}`,
        "increase with --timeout"
      )
    const { isSame, receivedBytes, sendMs, totalMs } = measured.value
    if (!isSame) return yield* CliError.make("internal", "the echo differs from what was sent")
    const speed = (bytes: number, ms: number) => bytes / MIB / (Math.max(ms, SHORTEST_MS) / 1000)
    const [sendMbps, totalMbps] = [speed(sizeBytes, sendMs), speed(receivedBytes, totalMs)]
    const shown = (ms: number) => DurationText.format(Duration.millis(Math.trunc(ms)))
    return output(
      {
        ...{ recv_bytes: receivedBytes, send_duration_ms: Math.trunc(sendMs), send_mbps: sendMbps },
        ...{ sent_bytes: sizeBytes, target, total_duration_ms: Math.trunc(totalMs), total_mbps: totalMbps }
      },
      `  Sent:     ${Render.size(sizeBytes)} in ${shown(sendMs)} (${sendMbps.toFixed(1)} MB/s)\n` +
        `  Echoed:   ${Render.size(receivedBytes)} in ${shown(totalMs)} (${totalMbps.toFixed(1)} MB/s round-trip)`
    )
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [ping, traceroute, bench]

/** A peer's echo port, and what is said of it. */
const echoOf = (
  address: Address.Address,
  text: string,
  timeout: Duration.Duration,
  justification: string
): TrustFirst.Options => {
  const failure = `cannot connect to ${Address.format(address)} (echo port ${ECHO_PORT})`
  return { address, text, port: ECHO_PORT, timeout, failure, justification }
}

const asTold = (wanted: TrustFirst.Options) => (error: DaemonClient.IpcError | CliError.CliError) =>
  error._tag === "CliError" ? error : TrustFirst.failed(error, wanted)

/** A stream to it. Fails only for missing trust, which can be earned; what else went wrong is a measurement. */
const dialled = (client: DaemonClient.IpcClient, wanted: TrustFirst.Options) =>
  Effect.catch(Effect.map(client.dial(wanted.address, Address.Port(wanted.port)), Result.succeed), (error) =>
    TrustFirst.isUntrusted(error, wanted) ? Effect.fail(error) : Effect.succeed(Result.fail(error))
  )

const pingOnce = Effect.fnUntraced(function* (client: DaemonClient.IpcClient, wanted: TrustFirst.Options, seq: number) {
  const sent = Bytes.fromUtf8(`ping-${seq}`)
  const echo = Effect.gen(function* () {
    const opened = yield* dialled(client, wanted)
    if (Result.isFailure(opened)) return Result.fail(opened.failure)
    return yield* Effect.result(Effect.andThen(opened.success.write(sent), opened.success.read))
  })
  const [elapsed, echoed] = yield* Effect.timed(Effect.scoped(echo))
  if (Result.isFailure(echoed)) {
    const { failure } = echoed
    const error = Cause.isDone(failure) ? "closed before the echo" : DaemonClient.failure("", failure).message
    return { row: { error, seq }, human: `seq=${seq} error: ${error}` }
  }
  const bytes = echoed.success.length
  return {
    row: { bytes, rtt_ms: Math.round(Duration.toMillis(elapsed) * 1000) / 1000, seq },
    human: `seq=${seq} bytes=${bytes} time=${PingText.elapsed(Duration.toMillis(elapsed))}`
  }
})

/** Writes and reads at the same time, or the windows of both directions would fill and stay so. */
const echoAll = Effect.fnUntraced(function* (connection: IpcConnection, sizeBytes: number) {
  const clock = yield* Clock.Clock
  const nowMs = () => Number(clock.currentTimeNanosUnsafe()) / 1e6
  const startMs = nowMs()
  const writing = Effect.gen(function* () {
    for (let at = 0; at < sizeBytes; at += BLOCK.length)
      yield* connection.write(BLOCK.subarray(0, Math.min(BLOCK.length, sizeBytes - at)))
    return nowMs() - startMs
  })
  const reading = Effect.gen(function* () {
    let receivedBytes = 0
    let isSame = true
    while (receivedBytes < sizeBytes) {
      const read = yield* Effect.result(connection.read)
      if (Result.isFailure(read)) {
        if (Cause.isDone(read.failure)) break
        return yield* read.failure
      }
      isSame &&= read.success.every((byte, index) => byte === ((receivedBytes + index) & 0xff))
      receivedBytes += read.success.length
    }
    return { isSame, receivedBytes, totalMs: nowMs() - startMs }
  })
  const [sendMs, read] = yield* Effect.all([writing, reading], { concurrency: 2 })
  return { sendMs, ...read }
})

const sizeOf = (text: string): Values.Parsed<number> => {
  const bytes = /^[0-9]{1,6}(?:\.[0-9]{1,6})?$/.test(text) ? Math.trunc(Number(text) * MIB) : 0
  return bytes > 0 && bytes <= BENCH_BYTES_MAX
    ? Result.succeed(bytes)
    : Result.fail(
        CliError.invalidArgument(`invalid size "${text}": megabytes, more than 0 and at most ${BENCH_BYTES_MAX / MIB}`)
      )
}

const milliseconds = (duration: Duration.Duration): number => Math.round(Duration.toMillis(duration) * 1000) / 1000

const DEFAULT_TIMEOUT = Duration.seconds(30)
const BENCH_TIMEOUT = Duration.seconds(120)
const PING_INTERVAL = Duration.seconds(1)
/** wire §2. */
const ECHO_PORT = 7
const TRACES = 3
const TRACE_LEGEND = `
setup includes: tunnel negotiation + SYN/ACK handshake
rtt is: data round-trip over established connection`
const MIB = 1_048_576
/** What is sent counts up to 255 and begins again, as the reference's does. */
const BLOCK = Uint8Array.from({ length: 64 << 10 }, (_, index) => index)
const BENCH_BYTES_MAX = 65_536 * MIB
/** A clock that has not moved is no infinite speed. */
const SHORTEST_MS = 0.001
