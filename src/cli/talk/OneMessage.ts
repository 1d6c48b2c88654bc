/** One message to a peer and its answer: `connect --message`, `send`, and what goes to an inbox instead (cli §6). */
import { Cause, type Duration, Effect, Option, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DurationText from "../../core/data/DurationText.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { type Environment, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Why from "../path/why.ts"
import * as Terminal from "../Terminal.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"
import * as Values from "../Values.ts"
import * as Channel from "./Channel.ts"
import * as ExchangeDial from "./ExchangeDial.ts"

/** Where a command wants to. */
export interface Wanted {
  /** As the user called the peer. */
  readonly text: string
  readonly port: number
  readonly isSecure: boolean
  /** Nobody chose the port: a peer where nothing listens on it gets what is sent into its inbox. */
  readonly orElseInbox: boolean
}

/** A peer that was reached, by the port or, where nothing listens, only by its inbox. */
export interface Reached {
  readonly target: string
  readonly client: DaemonClient.IpcClient
  readonly timeout: Duration.Duration
  readonly via:
    | { readonly _tag: "Port"; readonly channel: Channel.Channel }
    | { readonly _tag: "Inbox"; readonly peer: TrustFirst.Options }
}

/** Looks the peer up and dials; the way of this and of the inbox is the same for all commands. */
export const reach = Effect.fnUntraced(function* (
  input: Input,
  wanted: Wanted,
  client: DaemonClient.IpcClient
): Effect.fn.Return<Reached & { readonly address: Address.Address }, CliError.CliError, Environment> {
  const { isSecure, orElseInbox, port, text } = wanted
  const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", DEFAULT_TIMEOUT))
  const address = yield* DaemonClient.target(client, input, text)
  const target = Address.format(address)
  const failure = `cannot connect to ${target} port ${port}`
  const peer = { address, text, timeout, justification: "connect", failure }
  const dialled = yield* Effect.result(TrustFirst.attempt(client, input, { ...peer, port }))
  const reached = { target, client, timeout, address }
  if (Result.isFailure(dialled)) {
    if (!orElseInbox || !dialled.failure.isRefused) return yield* dialled.failure.error
    return { ...reached, via: { _tag: "Inbox", peer: { ...peer, port: ExchangeDial.PORT } } }
  }
  yield* Why.note(client, input, address.node)
  const channel = isSecure
    ? yield* Channel.secure(client, dialled.success, "client", "connect")
    : Channel.plain("connect", dialled.success)
  return { ...reached, via: { _tag: "Port", channel } }
})

/** Dial, write, one read, close; the time-out covers the read only, because dialling has its own (cli §6). */
export const exchange = Effect.fnUntraced(function* (
  input: Input,
  wanted: Wanted,
  { message, timeoutHint }: { readonly message: string; readonly timeoutHint: string | undefined }
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const { target, timeout, via, client } = yield* reach(input, wanted, yield* DaemonClient.connect)
  if (via._tag === "Inbox") return yield* toInbox(client, input, via.peer, message)
  const { channel } = via
  yield* channel.write(Bytes.fromUtf8(message))
  const read = yield* Effect.timeoutOption(Effect.result(channel.read), timeout)
  if (Option.isNone(read)) {
    const hint = timeoutHint ?? `increase with --timeout, or check peer: pilotctl ping ${target}`
    return yield* CliError.make("timeout", `no response within ${DurationText.format(timeout)}`, hint)
  }
  if (Result.isFailure(read.value) && !Cause.isDone(read.value.failure)) return yield* read.value.failure
  const response = Result.isSuccess(read.value) ? Bytes.toUtf8Lossy(read.value.success) : ""
  const sentBytes = Bytes.fromUtf8(message).length
  if (Result.isFailure(read.value)) yield* Terminal.note(input, `sent ${sentBytes} bytes (no response)`)
  return output({ port: wanted.port, response, sent: message, target }, response)
})

/** The message as one of the inbox, as JSON if it is an object or a list; what cannot be delivered fails as the dial did. */
export const toInbox = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  input: Input,
  peer: TrustFirst.Options,
  message: string
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const { KINDS, send } = yield* Effect.promise(() => import("../../actors/services/client/SendMessage.ts"))
  const connection = yield* TrustFirst.dial(client, input, peer)
  const kind = typeof Json.parse(message) === "object" ? KINDS.json : KINDS.text
  const sent = send(connection, kind, Bytes.fromUtf8(message))
  const response = (yield* ExchangeDial.told(sent)) ?? ""
  yield* Terminal.note(input, `nothing listens on port ${STDIO_PORT} there: delivered to its inbox`)
  return output({ port: peer.port, response, sent: message, target: Address.format(peer.address) }, response)
})

/** The default port of `connect` (wire §2). */
export const STDIO_PORT = 1000
const DEFAULT_TIMEOUT = "30 seconds"
