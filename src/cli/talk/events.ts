/** Events: publish and subscribe, in the spelling of the reference and in that of the articles (cli §6). */
import { Duration, Effect, Option } from "effect"
import * as EventFeed from "../../actors/pubsub/client/EventFeed.ts"
import * as EventPublisher from "../../actors/pubsub/client/EventPublisher.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Json from "../../core/data/Json.ts"
import * as TopicPattern from "../../protocol/pubsub/TopicPattern.ts"
import * as Address from "../../protocol/wire/Address.ts"
import type { Policy } from "../../protocol/wire/EventExtension.ts"
import * as EventFrame from "../../protocol/wire/EventFrame.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Flag, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"
import * as Values from "../Values.ts"
import * as EventsNetwork from "./EventsNetwork.ts"
import * as EventText from "./EventText.ts"

const COUNT: Flag = { name: "count", value: "number", summary: "how many events to wait for (default 0: for ever)" }
const TIMEOUT: Flag = { name: "timeout", value: "duration", summary: "how long to wait in all (default 0: for ever)" }
const PATIENCE: Flag = { name: "timeout", value: "duration", summary: "how long to wait for its trust (default 30s)" }
const DATA: Flag = { name: "data", value: "text", placeholder: "msg", isRequired: true, summary: "the event's data" }
const TOPIC: Flag = { name: "topic", value: "text", placeholder: "topic", isRequired: true, summary: "the topic" }

const publish: Command = {
  name: "publish",
  usage: "<address|hostname> <topic>",
  summary: "Publishes an event on the broker of a node",
  returns: "bytes, target, topic",
  flags: [DATA, PATIENCE],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const target = yield* Effect.fromResult(Values.positional(publish, input, 0))
    const topic = yield* Effect.fromResult(Values.positional(publish, input, 1))
    const { data } = yield* publishTo(input, target, topic)
    return output(data)
  })
}

const eventsPublish: Command = {
  name: "events publish",
  usage: "",
  summary: "Publishes an event on this node, for every trusted peer that listens; or on the broker of another node",
  returns: "bytes, target, topic, sequence (when it is on the broker's disk)",
  flags: [
    TOPIC,
    DATA,
    { name: "to", value: "text", placeholder: "node", summary: "whose broker (default: this node's own)" },
    PATIENCE
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const topic = Values.text(input, "topic")
    if (topic === undefined) return yield* CliError.invalidArgument("--topic is required")
    const { data, sequence } = yield* publishTo(input, Values.text(input, "to"), topic)
    return output(sequence === undefined ? data : { ...data, sequence })
  })
}

const subscribe: Command = {
  name: "subscribe",
  usage: "<address|hostname> <topic>",
  summary: "Prints the events of a node's broker; a topic, or a pattern like data.*",
  returns: "events [topic, data, bytes], timeout; without --count one object a line",
  flags: [
    { ...COUNT, summary: "how many events to wait for (default 0: for ever)" },
    { ...TIMEOUT, placeholder: "dur" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const target = yield* Effect.fromResult(Values.positional(subscribe, input, 0))
    const topic = yield* Effect.fromResult(Values.positional(subscribe, input, 1))
    const client = yield* DaemonClient.connect
    const address = yield* DaemonClient.target(client, input, target)
    yield* trusted(client, input, target, "subscribe")
    return yield* hear(input, { topic, from: address, isPlain: true })
  })
}

const eventsSubscribe: Command = {
  name: "events subscribe",
  usage: "",
  summary: "Prints the events of this node and of every trusted peer, as they come and go; or of one node",
  returns:
    "events [topic, data, bytes, broker, publisher, published_at, sequence], timeout; without --count one a line",
  flags: [
    { ...TOPIC, placeholder: "pattern", summary: "a topic, or a pattern: data.*, *.failed, a.**, or * for all" },
    { name: "from", value: "text", placeholder: "node", summary: "only the broker of this node" },
    COUNT,
    TIMEOUT,
    { name: "consumer", value: "text", placeholder: "name", summary: "goes on where this name was; misses nothing" },
    { name: "since", value: "text", placeholder: "now|earliest", summary: "where a new one begins (default now)" },
    {
      name: "policy",
      value: "text",
      placeholder: "replay|block|drop",
      summary: "when it does not keep up: from the log, publishers wait, or drop the oldest (default replay)"
    }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const topic = Values.text(input, "topic")
    if (topic === undefined) return yield* CliError.invalidArgument("--topic is required")
    const from = Values.text(input, "from")
    const client = yield* DaemonClient.connect
    const address = from === undefined ? undefined : yield* DaemonClient.target(client, input, from)
    if (from !== undefined) yield* trusted(client, input, from, "subscribe")
    return yield* hear(input, { topic, from: address, isPlain: false })
  })
}

const eventsStatus: Command = {
  name: "events status",
  usage: "",
  summary: "The broker of this node: its log, who listens, and what did not reach them",
  returns:
    "log, first, last, size_bytes, subscribers [remote, pattern, consumer, policy, pending, dropped, behind], counters",
  flags: [],
  run: () =>
    Effect.map(
      DaemonClient.once("events status", (client) => client.extension("events.status", {})),
      (data) => output(data, EventText.status(data))
    )
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [publish, subscribe, eventsPublish, eventsSubscribe, eventsStatus]

const publishTo = Effect.fnUntraced(function* (input: Input, target: string | undefined, topic: string) {
  const message = Values.text(input, "data")
  if (message === undefined) return yield* CliError.invalidArgument("--data is required")
  const client = yield* DaemonClient.connect
  const address = target === undefined ? yield* ownAddress(client) : yield* DaemonClient.target(client, input, target)
  if (target !== undefined) yield* trusted(client, input, target, "publish")
  const bytes = Bytes.fromUtf8(message)
  const stream = yield* Effect.mapError(EventsNetwork.dial(address), (error) => unreachable("publish", error, address))
  const once = EventPublisher.publishOnce(stream, topic, bytes, EventsNetwork.nonce())
  const sequence = yield* Effect.timeoutOrElse(Effect.mapError(once, publishFailure), {
    duration: ANSWER_TIMEOUT,
    orElse: () => CliError.make("timeout", "the broker has not answered; it may have the event")
  })
  return { data: { bytes: bytes.length, target: Address.format(address), topic }, sequence }
})

/** A broker of a peer is asked for trust first, and waited for as long as `--timeout` allows. */
const trusted = Effect.fnUntraced(function* (client: DaemonClient.IpcClient, input: Input, text: string, what: string) {
  const given = yield* Effect.fromResult(Values.duration(input, "timeout", TRUST_TIMEOUT))
  const timeout = Duration.toMillis(given) === 0 ? Duration.fromInputUnsafe(TRUST_TIMEOUT) : given
  const failure = `cannot ${what} on ${text} (event stream port ${EventFrame.PORT})`
  yield* TrustFirst.ensure(client, input, { text, failure, timeout, justification: "events" })
})

const ownAddress = (client: DaemonClient.IpcClient) =>
  Effect.map(DaemonClient.ask("events", client.info), (info) => Address.make(0, Json.unsigned(info, "node_id", 32)))

interface Heard {
  readonly topic: string
  readonly from: Address.Address | undefined
  /** The command of the reference: no more than it prints, and over when the stream is. */
  readonly isPlain: boolean
}

const hear = Effect.fnUntraced(function* (
  input: Input,
  { from, isPlain, topic }: Heard
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const count = yield* Effect.fromResult(Values.count(input, "count", 0))
  const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", 0))
  const policy = yield* choice(input, "policy", POLICIES, "replay")
  const since = yield* choice(input, "since", SINCE, "now")
  const network = yield* EventsNetwork.make
  const next = yield* EventFeed.follow(network, {
    pattern: TopicPattern.parse(topic),
    consumer: Values.text(input, "consumer"),
    start: { _tag: since === "earliest" ? "Earliest" : "Now" },
    policy,
    from: from?.node
  }).pipe(Effect.mapError((error) => unreachable("subscribe", error, from)))
  yield* Terminal.note(input, `subscribed to ${JSON.stringify(topic)} on ${whose(from)} — waiting for events...`)

  const rows: Array<JsonObject> = []
  let seen = 0
  let lost: string | undefined
  const one = Effect.gen(function* () {
    const { acknowledge, broker, item } = yield* next
    if (item._tag === "Event") {
      const row = isPlain ? EventText.plainRow(item) : EventText.row(broker, item)
      seen++
      if (count > 0) rows.push(row)
      if (!input.json) yield* Terminal.line(EventText.line(item))
      else if (count === 0) yield* Terminal.line(EventText.json(row))
      return yield* acknowledge
    }
    if (isPlain && item._tag === "Left") lost = item.detail
    else if (!isPlain) yield* notice(input, broker, item, count === 0)
  })
  const all = Effect.repeat(one, { while: () => lost === undefined && (count === 0 || seen < count) })
  const done = Duration.toMillis(timeout) === 0 ? Effect.asSome(all) : Effect.timeoutOption(all, timeout)
  const isTimeout = Option.isNone(yield* done)
  if (isTimeout) yield* Terminal.note(input, "timeout")
  if (lost !== undefined && (count === 0 || seen === 0))
    return yield* CliError.make("connection_failed", `subscribe: the stream was lost: ${lost}`)
  if (count === 0) return { data: undefined }
  const error = lost === undefined ? {} : { error: lost }
  return output({ events: rows.length === 0 ? null : rows, timeout: isTimeout, ...error }, "")
})

/** What is told beside events: for a person on standard error, for a program between the events. */
const notice = (input: Input, broker: Address.NodeId, item: EventFeed.FeedItem, isLines: boolean) => {
  const { data, human } = EventText.notice(broker, item)
  if (!input.json) return human === undefined ? Effect.void : Terminal.note(input, human)
  return isLines ? Terminal.line(EventText.json(data)) : Effect.void
}

const whose = (from: Address.Address | undefined): string =>
  from === undefined ? "this node and every trusted peer" : Address.format(from)

const choice = <A extends string>(input: Input, name: string, choices: ReadonlyArray<A>, orElse: A) => {
  const text = Values.text(input, name)
  const chosen = text === undefined ? orElse : choices.find((one) => one === text)
  return chosen === undefined
    ? CliError.invalidArgument(`invalid --${name} ${JSON.stringify(text)}`, `one of ${choices.join(", ")}`)
    : Effect.succeed(chosen)
}

const unreachable = (
  what: string,
  error: EventFeed.Failure,
  address: Address.Address | undefined
): CliError.CliError => {
  const told = error instanceof CliError.CliError ? error : undefined
  if (told?.code === "key_changed" || told?.code === "not_running" || address === undefined)
    return told ?? CliError.make("connection_failed", error.message)
  const target = Address.format(address)
  return CliError.make(
    "connection_failed",
    `cannot ${what} on ${target} (event stream port ${EventFrame.PORT})`,
    `check that ${target} is reachable: pilotctl ping ${target}`
  )
}

const publishFailure = (error: EventFeed.Failure): CliError.CliError => {
  if (!(error instanceof EventPublisher.NotPublished))
    return CliError.make("connection_failed", `publish: ${error.message}`)
  return error.reason === "Invalid"
    ? CliError.invalidArgument(`publish: ${error.detail}`)
    : CliError.make("connection_failed", `publish: ${error.detail}`)
}

const POLICIES: ReadonlyArray<Policy> = ["replay", "block", "drop"]
const SINCE = ["now", "earliest"] as const
const ANSWER_TIMEOUT = Duration.seconds(30)
const TRUST_TIMEOUT = "30 seconds"
