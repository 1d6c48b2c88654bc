/**
 * Reaching a peer that does not trust this node yet: the request for trust is sent, what the other side has to type is said,
 * and its decision is awaited for as long as the user allows (issue of every command that speaks to a peer).
 */
import { Clock, Duration, Effect, Option } from "effect"
import * as DialErrorText from "../../actors/ipc/DialErrorText.ts"
import * as DurationText from "../../core/data/DurationText.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import type { Environment, Input } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"

/** What to reach, and how long to wait for its trust. */
export interface Options {
  readonly address: Address.Address
  /** As the user called it. */
  readonly text: string
  readonly port: number
  readonly timeout: Duration.Duration
  /** `cannot connect to A …`, before what went wrong. */
  readonly failure: string
  /** Said to the other side. */
  readonly justification: string
}

/** Why there is no stream. */
export interface Unreached {
  /** The peer is there, and nothing listens on the port. */
  readonly isRefused: boolean
  readonly error: CliError.CliError
}

/** A stream to the peer; closing the scope closes it. */
export const attempt = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  input: Pick<Input, "json">,
  options: Options
) {
  const open = client.dial(options.address, Address.Port(options.port))
  return yield* Effect.mapError(
    retrying(client, input, options, open),
    (error): Unreached =>
      error._tag === "CliError"
        ? { isRefused: false, error }
        : { isRefused: reasonOf(error, options) === "Refused", error: failed(error, options) }
  )
})

/** Runs what dials in its own way; if the peer does not trust this node, asks for trust, waits, and runs it once more. */
export const retrying = <A, R>(
  client: DaemonClient.IpcClient,
  input: Pick<Input, "json">,
  options: Options,
  open: Effect.Effect<A, DaemonClient.IpcError, R>
) =>
  Effect.catch(open, (error) =>
    isUntrusted(error, options) ? Effect.andThen(earn(client, input, options), open) : Effect.fail(error)
  )

/** Whether that is why it failed. */
export const isUntrusted = (error: DaemonClient.IpcError, options: Pick<Options, "text">): boolean =>
  reasonOf(error, options) === "Untrusted"

/** The same for whom every failure is the same. */
export const dial = (client: DaemonClient.IpcClient, input: Pick<Input, "json">, options: Options) =>
  Effect.mapError(attempt(client, input, options), ({ error }) => error)

/** A peer as the user called it, for commands that dial in their own way. */
export interface Peer {
  readonly text: string
  readonly failure: string
  readonly justification: string
  /** How long to wait for its trust; `undefined` asks and goes on at once. */
  readonly timeout: Duration.Duration | undefined
}

/**
 * Asks the peer for trust if this node does not trust it yet, and waits. What keeps the daemon from knowing the peer is left
 * to the command, which says it in its own words.
 */
export const ensure = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  input: Pick<Input, "json">,
  { failure, justification, text, timeout }: Peer
): Effect.fn.Return<void, CliError.CliError, Environment> {
  const found = yield* Effect.option(client.extension("peer", { target: text, recent: true }))
  if (Option.isNone(found) || Json.boolean(found.value, "trusted")) return
  const node = Json.unsigned(found.value, "node_id", 32)
  if (node === 0 || node === Json.integer(yield* DaemonClient.ask("info", client.info), "node_id")) return
  const asked = { address: Address.make(0, node), text, port: 0, failure, justification }
  if (timeout !== undefined) return yield* earn(client, input, { ...asked, timeout })
  const comparing = yield* ask(client, asked)
  yield* Terminal.note(input, `${text} does not trust this node yet: trust request sent\n  there: ${comparing}`)
})

const reasonOf = (error: DaemonClient.IpcError, { text }: Pick<Options, "text">) =>
  error.reason === "Daemon" ? DialErrorText.parse(error.detail, text).reason : undefined

/** Asks for trust and waits; fails when it does not come. */
const earn = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  input: Pick<Input, "json">,
  { address, failure, justification, text, timeout }: Options
): Effect.fn.Return<void, CliError.CliError, Environment> {
  const comparing = yield* ask(client, { address, justification })
  yield* Terminal.note(
    input,
    `${text} does not trust this node yet: trust request sent, waiting ${DurationText.format(timeout)}`
  )
  yield* Terminal.note(input, `  there: ${comparing}`)
  const startedMs = yield* Clock.currentTimeMillis
  while (true) {
    const leftMs = Duration.toMillis(timeout) - ((yield* Clock.currentTimeMillis) - startedMs)
    if (leftMs <= 0) {
      const detail = `${failure}: it has not granted trust within ${DurationText.format(timeout)}`
      return yield* CliError.make("untrusted", detail, `the request waits there; its owner types: ${comparing}`)
    }
    if (yield* DaemonClient.ask("handshake", isTrusted(client, address.node, Math.min(leftMs, WAIT_MS_MAX)))) return
    yield* Effect.sleep(PAUSE)
  }
})

/** Sends the request; returns what the other side has to type. */
const ask = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  { address, justification }: Pick<Options, "address" | "justification">
) {
  yield* DaemonClient.ask("handshake", client.handshake(address.node, justification))
  const own = yield* DaemonClient.ask("info", client.info)
  const approval = `pilotctl trust approve ${Json.integer(own, "node_id")}`
  return `${approval} --fingerprint ${Json.string(own, "fingerprint")}`
})

/** Waits at the daemon; one that cannot wait is asked for its list. */
const isTrusted = (
  client: DaemonClient.IpcClient,
  node: Address.NodeId,
  timeoutMs: number
): Effect.Effect<boolean, DaemonClient.IpcError> => {
  const isListed = Effect.map(client.trusted, (reply) =>
    Json.objects(reply, "trusted").some((row) => Json.unsigned(row, "node_id", 32) === node)
  )
  return Effect.catch(
    Effect.map(client.awaitTrust(node, timeoutMs), (reply) => Json.boolean(reply, "trusted")),
    (error) => (error.reason === "Daemon" ? isListed : Effect.fail(error))
  )
}

/** Why the peer cannot be reached, in the words of the command. */
export const failed = (error: DaemonClient.IpcError, { address, failure, text }: Options): CliError.CliError => {
  const told = DaemonClient.failure("connect", error)
  if (error.reason !== "Daemon" || told.code === "key_changed") return told
  const target = Address.format(address)
  const { detail, reason } = DialErrorText.parse(error.detail, target)
  if (reason === "Untrusted")
    return CliError.make(
      "untrusted",
      `${failure}: ${detail}`,
      `establish trust first: pilotctl handshake ${text} "reason"`
    )
  if (reason === "RegistryUnavailable") return CliError.make("connection_failed", `${failure}: ${detail}`, told.hint)
  return CliError.make("connection_failed", failure, `check that ${target} is reachable: pilotctl ping ${target}`)
}

/** What a daemon waits for at once (node §1.8). */
const WAIT_MS_MAX = 30_000
const PAUSE = "500 millis"
