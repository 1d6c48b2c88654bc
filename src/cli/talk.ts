/** Commands that speak to a peer: one message and its answer, what comes to a port, and pings (cli §6, §8). */
import { Cause, Duration, Effect, Option, Result, Stdio } from "effect"
import * as Bytes from "../core/data/Bytes.ts"
import * as DurationText from "../core/data/DurationText.ts"
import type { JsonObject } from "../core/data/Json.ts"
import * as Json from "../core/data/Json.ts"
import * as Address from "../protocol/wire/Address.ts"
import * as CliError from "./CliError.ts"
import { type Command, type Environment, type Flag, type Input, type Output, output } from "./Command.ts"
import * as DaemonClient from "./DaemonClient.ts"
import * as ExchangeDial from "./ExchangeDial.ts"
import * as PingText from "./PingText.ts"
import * as Terminal from "./Terminal.ts"
import * as TrustFirst from "./TrustFirst.ts"
import * as Values from "./Values.ts"

const TIMEOUT: Flag = { name: "timeout", value: "duration", summary: "how long to wait for an answer (default 30s)" }

const connect: Command = {
  name: "connect",
  usage: "<address|hostname> [port]",
  summary: "Opens a stream, sends one message (or standard input) and prints the first answer",
  returns: "target, port, sent, response",
  flags: [
    { name: "message", value: "text", placeholder: "msg", summary: "the message; without it standard input is sent" },
    { name: "port", value: "port", summary: "the same as the positional port (default 1000)" },
    TIMEOUT
  ],
  run: Effect.fnUntraced(function* (input) {
    const text = yield* Effect.fromResult(Values.positional(connect, input, 0))
    const port = yield* Effect.fromResult(
      Values.port(input.positionals[1] ?? Values.text(input, "port") ?? String(STDIO_PORT))
    )
    const message = Values.text(input, "message") ?? (yield* standardInput)
    const isChosen = input.positionals[1] !== undefined || Values.text(input, "port") !== undefined
    const hint = "increase with --timeout, or check if the target is listening on that port"
    return yield* exchange(input, { text, port, message, timeoutHint: hint, orElseInbox: !isChosen })
  })
}

const send: Command = {
  name: "send",
  usage: "<address|hostname> <port>",
  summary: "Sends one message to a port of a peer and prints the first answer",
  returns: "target, port, sent, response",
  flags: [{ name: "data", value: "text", placeholder: "msg", isRequired: true, summary: "the message" }, TIMEOUT],
  run: Effect.fnUntraced(function* (input) {
    const text = yield* Effect.fromResult(Values.positional(send, input, 0))
    const port = yield* Effect.fromResult(Result.flatMap(Values.positional(send, input, 1), Values.port))
    const message = Values.text(input, "data")
    if (message === undefined) return yield* CliError.invalidArgument("--data is required")
    return yield* exchange(input, { text, port, message, timeoutHint: undefined, orElseInbox: false })
  })
}

const recv: Command = {
  name: "recv",
  usage: "<port>",
  summary: "Binds a port and prints the first message of each stream that comes",
  returns: "messages [seq, port, data, bytes], timeout",
  flags: [
    { name: "count", value: "number", summary: "how many streams to wait for (default 1)" },
    { ...TIMEOUT, summary: "how long to wait in all (default 30s)" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const port = yield* Effect.fromResult(Result.flatMap(Values.positional(recv, input, 0), Values.port))
    const count = yield* Effect.fromResult(Values.count(input, "count", 1))
    const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", DEFAULT_TIMEOUT))
    const client = yield* DaemonClient.connect
    const listener = yield* DaemonClient.ask("listen", client.bind(Address.Port(port)))
    const messages: Array<JsonObject> = []
    const next = Effect.gen(function* () {
      const connection = yield* listener.accept
      const read = yield* Effect.result(connection.read)
      yield* connection.end
      const heard = Result.isSuccess(read) ? Bytes.toUtf8Lossy(read.success) : undefined
      messages.push({ seq: messages.length, port, ...content(read) })
      if (heard !== undefined && !input.json) yield* Terminal.line(heard)
    })
    const all = Effect.repeat(next, { while: () => messages.length < count })
    const done = yield* Effect.timeoutOption(DaemonClient.ask("recv", all), timeout)
    const isTimeout = Option.isNone(done)
    if (isTimeout) yield* Terminal.note(input, "timeout")
    return output({ messages: messages.length === 0 ? null : messages, timeout: isTimeout }, "")
  })
}

const ping: Command = {
  name: "ping",
  usage: "<address|hostname>",
  summary: "Round trips to a peer's echo port, each with a stream of its own",
  returns: "target, results [seq, bytes, rtt_ms or error], timeout",
  flags: [
    { name: "count", value: "number", summary: "how many (default 4)" },
    { ...TIMEOUT, summary: "how long in all (default 30s)" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(ping, input, 0))
    const count = yield* Effect.fromResult(Values.count(input, "count", 4))
    const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", DEFAULT_TIMEOUT))
    const client = yield* DaemonClient.connect
    const address = yield* DaemonClient.target(client, input, text)
    const target = Address.format(address)
    if (!input.json) yield* Terminal.line(`PING ${target}`)
    const results: Array<JsonObject> = []
    const all = Effect.gen(function* () {
      while (results.length < count) {
        if (results.length > 0) yield* Effect.sleep(PING_INTERVAL)
        const result = yield* pingOnce(client, address, results.length)
        results.push(result.row)
        if (!input.json) yield* Terminal.line(result.human)
      }
    })
    const isTimeout = Option.isNone(yield* Effect.timeoutOption(all, timeout))
    if (isTimeout && !input.json) yield* Terminal.line("timeout")
    return output({ results: results.length === 0 ? null : results, target, timeout: isTimeout }, "")
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [connect, send, recv, ping]

interface Exchange {
  readonly text: string
  readonly port: number
  readonly message: string
  readonly timeoutHint: string | undefined
  /** Nobody chose the port: a peer where nothing listens on it gets the message into its inbox (cli §6). */
  readonly orElseInbox: boolean
}

/** Dial, write, one read, close; the time-out covers the read only, because dialling has its own (cli §6). */
const exchange = Effect.fnUntraced(function* (
  input: Input,
  { message, orElseInbox, port, text, timeoutHint }: Exchange
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", DEFAULT_TIMEOUT))
  const client = yield* DaemonClient.connect
  const address = yield* DaemonClient.target(client, input, text)
  const target = Address.format(address)
  const peer = { address, text, timeout, justification: "connect" }
  const wanted = { ...peer, port, failure: `cannot connect to ${target} port ${port}` }
  const dialled = yield* Effect.result(TrustFirst.attempt(client, input, wanted))
  if (Result.isFailure(dialled)) {
    if (!orElseInbox || !dialled.failure.isRefused) return yield* dialled.failure.error
    return yield* toInbox(client, input, { ...peer, port: INBOX_PORT, failure: wanted.failure }, message)
  }
  const connection = dialled.success
  yield* DaemonClient.ask("connect", connection.write(Bytes.fromUtf8(message)))
  const read = yield* Effect.timeoutOption(Effect.result(connection.read), timeout)
  if (Option.isNone(read)) {
    const hint = timeoutHint ?? `increase with --timeout, or check peer: pilotctl ping ${target}`
    return yield* CliError.make("timeout", `no response within ${DurationText.format(timeout)}`, hint)
  }
  if (Result.isFailure(read.value) && !Cause.isDone(read.value.failure))
    return yield* DaemonClient.failure("connect", read.value.failure)
  const response = Result.isSuccess(read.value) ? Bytes.toUtf8Lossy(read.value.success) : ""
  const sentBytes = Bytes.fromUtf8(message).length
  if (Result.isFailure(read.value)) yield* Terminal.note(input, `sent ${sentBytes} bytes (no response)`)
  return output({ port, response, sent: message, target }, response)
})

/** The message as one of the inbox, as JSON if it is an object or a list; what cannot be delivered fails as the dial did. */
const toInbox = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  input: Input,
  peer: TrustFirst.Options,
  message: string
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const { KINDS, send } = yield* Effect.promise(() => import("../actors/services/client/SendMessage.ts"))
  const connection = yield* TrustFirst.dial(client, input, peer)
  const kind = typeof Json.parse(message) === "object" ? KINDS.json : KINDS.text
  const sent = send(connection, kind, Bytes.fromUtf8(message))
  const response = (yield* ExchangeDial.told(sent)) ?? ""
  yield* Terminal.note(input, `nothing listens on port ${STDIO_PORT} there: delivered to its inbox`)
  return output({ port: INBOX_PORT, response, sent: message, target: Address.format(peer.address) }, response)
})

const pingOnce = Effect.fnUntraced(function* (client: DaemonClient.IpcClient, address: Address.Address, seq: number) {
  const sent = Bytes.fromUtf8(`ping-${seq}`)
  const echo = Effect.gen(function* () {
    const connection = yield* client.dial(address, Address.Port(ECHO_PORT))
    yield* connection.write(sent)
    return yield* connection.read
  })
  const [elapsed, echoed] = yield* Effect.timed(Effect.result(Effect.scoped(echo)))
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

/** All of standard input, its lines joined, the last newline gone (cli §6). */
const standardInput = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  if (yield* stdio.stdinIsTerminal)
    return yield* CliError.invalidArgument(
      "--message is required (interactive mode not supported)",
      "use --message to send a single message, or pipe data via stdin"
    )
  const text = yield* Terminal.readAll(STDIN_BYTES_MAX)
  if (text === undefined)
    return yield* CliError.invalidArgument(`standard input is longer than ${STDIN_BYTES_MAX} bytes`)
  const message = text.replaceAll("\r\n", "\n").replace(/\n$/, "")
  if (message === "") return yield* CliError.invalidArgument("no data on stdin — use --message or pipe data")
  return message
})

const content = (read: Result.Result<Uint8Array, DaemonClient.IpcError | Cause.Done>): JsonObject => {
  if (Result.isSuccess(read)) return { bytes: read.success.length, data: Bytes.toUtf8Lossy(read.success) }
  return { error: Cause.isDone(read.failure) ? "EOF" : DaemonClient.failure("", read.failure).message }
}

const DEFAULT_TIMEOUT = Duration.seconds(30)
const PING_INTERVAL = Duration.seconds(1)
/** Virtual ports of wire §2. */
const ECHO_PORT = 7
const STDIO_PORT = 1000
const INBOX_PORT = ExchangeDial.PORT
const STDIN_BYTES_MAX = 16 << 20
