/**
 * One client of a front (mcp §6.11): to the client one MCP server of either era, behind it every service that this node may
 * use, each with a relay session of its own. Clients share nothing but the roster.
 *
 * Owns the client's lines. Ends when the client does, and everything that was opened for it ends with it.
 */
import { type Duration, Effect, Result, type Scope, Stream } from "effect"
import * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { Catalog } from "../../../protocol/mcp/Catalog.ts"
import * as BrokenMessage from "../../../protocol/relay/BrokenMessage.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import { type Line, LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import * as ShimRefusal from "../mount/ShimRefusal.ts"
import type { Target } from "../Target.ts"
import * as FrontAlone from "./FrontAlone.ts"
import * as FrontCalls from "./FrontCalls.ts"
import * as FrontClient from "./FrontClient.ts"
import * as FrontHeld from "./FrontHeld.ts"
import * as FrontLists from "./FrontLists.ts"
import * as FrontNews from "./FrontNews.ts"
import * as FrontQuestions from "./FrontQuestions.ts"
import * as FrontRequests from "./FrontRequests.ts"
import type { FrontRoster, KnownService } from "./FrontRoster.ts"
import * as FrontRouting from "./FrontRouting.ts"
import * as FrontServices from "./FrontServices.ts"
import * as FrontSubscriptions from "./FrontSubscriptions.ts"
import type { ClientProfile } from "./FrontUpstream.ts"

/** What a session is made of. */
export interface Options<E, E2> {
  /** The client: its messages are read, ours written. */
  readonly client: Duplex<E>
  readonly roster: FrontRoster
  /** A relay session to a service, as lines; `isOfCall`: for one call only. */
  readonly connect: (target: Target, isOfCall?: boolean) => Effect.Effect<Duplex<E2>, never, Scope.Scope>
  /** Hexadecimal SHA-256. */
  readonly hash: (text: string) => string
  /** A text that nobody can guess. */
  readonly random: () => string
  readonly version: string
  readonly mode: FrontLists.Mode
  readonly budget: FrontLists.Budget
  /** How long a list waits for services that do not answer. */
  readonly patience: Duration.Input
  /** Whether a service may spend what sampling costs (mcp §8, rule 9). */
  readonly maySample: (service: KnownService) => boolean
  /** The client stands for several, each of them modern, and none may learn of another. */
  readonly isShared?: boolean
}

/** Serves the client to its end. */
export const run = Effect.fn("FrontSession.run")(function* <E, E2>(options: Options<E, E2>): Effect.fn.Return<void> {
  yield* Effect.scoped(
    Effect.gen(function* () {
      const { client, receive } = yield* assemble(options)
      const lines = new LineSplitter(MESSAGE_BYTES_MAX)
      yield* Effect.ignore(
        Effect.gen(function* () {
          while (true) {
            for (const line of lines.push(yield* options.client.read)) {
              if (line._tag === "Whole") yield* receive(line.bytes)
              else yield* tooLarge(client, line)
            }
          }
        })
      )
    })
  )
})

/** The parts of a session, joined; gives what a message of the client does. */
const assemble = Effect.fnUntraced(function* <E, E2>(options: Options<E, E2>) {
  const { hash, roster } = options
  const self = { name: "effect-pilot", title: "All services", version: options.version }
  const client = FrontClient.make(options.client, self)
  const catalog = new Catalog(hash)
  const logs: FrontRequests.LogLevel = { level: undefined }

  const capabilities = (service: KnownService, { capabilities: all }: ClientProfile): Json.JsonObject => {
    if (options.maySample(service) || Json.member(all, "sampling") === undefined) return all
    return Object.fromEntries(Object.entries(all).filter(([key]) => key !== "sampling"))
  }
  const questions = yield* FrontQuestions.make(client, capabilities)
  const held = yield* FrontHeld.make(client, () => calls, options.random)
  const subscriptions: FrontSubscriptions.FrontSubscriptions = yield* FrontSubscriptions.make(client, () => services)
  const services: FrontServices.FrontServices = yield* FrontServices.make<E2>({
    catalog,
    connect: options.connect,
    profile: (service) => ({ ...client.profile(), capabilities: capabilities(service, client.profile()) }),
    receive: (service, message, envelope, write) => FrontNews.receive(news, service, message, envelope, write),
    opened: (service, upstream) =>
      Effect.andThen(subscriptions.opened(service, upstream), FrontRequests.setLevel(upstream, logs.level)),
    closed: (service) => questions.closed(service)
  })
  const { budget, mode, patience } = options
  const takeOver = Effect.suspend(() => services.update(roster.services()))
  const ready = Effect.andThen(roster.ready, takeOver)
  const lists = yield* FrontLists.make({ catalog, client, services, hash, mode, budget, patience, ready })
  const routing = FrontRouting.make({ catalog, services, lists })
  const { connect, isShared = false } = options
  const receiveOf: FrontAlone.Options<E2>["receive"] = (...told) => FrontNews.receive(news, ...told)
  const alone = isShared ? yield* FrontAlone.make<E2>({ connect, capabilities, receive: receiveOf }) : undefined
  const calls: FrontCalls.FrontCalls = yield* FrontCalls.make({
    client,
    services,
    questions,
    held,
    capabilities,
    alone,
    observe: routing.observe
  })
  const news: FrontNews.Options = {
    client,
    calls,
    held,
    lists,
    questions,
    services,
    subscriptions,
    isShared,
    wantsLogs: () => client.profile().era === "legacy" || logs.level !== undefined
  }

  yield* takeOver
  yield* roster.changes.pipe(
    Stream.runForEach(() =>
      Effect.andThen(
        takeOver,
        Effect.forEach(["tools", "prompts", "resources", "resourceTemplates"] as const, lists.touch)
      )
    ),
    Effect.forkScoped
  )
  const requests = { calls, catalog, client, held, lists, logs, questions, routing, self, services, subscriptions }
  return { client, receive: (message: Uint8Array) => receive(requests, message) }
})

/** What its requests are can still be told. */
const tooLarge = (
  client: FrontClient.FrontClient,
  { envelope, sizeBytes }: Extract<Line, { _tag: "Oversized" }>
): Effect.Effect<void> =>
  Effect.andThen(
    Effect.logWarning(`mcp: dropped a message of ${sizeBytes} bytes`),
    Effect.forEach(ShimRefusal.refusals(envelope, ShimRefusal.tooLarge(SELF, false)), client.write, { discard: true })
  )

const receive = (parts: FrontRequests.Parts, message: Uint8Array): Effect.Effect<void> =>
  Effect.gen(function* () {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    switch (envelope?._tag) {
      case "Batch":
        for (const element of JsonSplice.elements(message) ?? []) yield* receive(parts, element)
        return
      case "Request":
        return yield* FrontRequests.request(parts, message, envelope)
      case "Notification":
        return yield* FrontRequests.notification(parts, message, envelope)
      case "Response":
        return yield* parts.questions.answered(message, envelope.id)
      default:
        yield* Effect.logWarning("mcp: dropped a line of the client that is no message")
        return yield* Effect.forEach(BrokenMessage.refusals(message), parts.client.write, { discard: true })
    }
  })

/** Where errors come from that are of no service. */
const SELF: Target = { peer: "this node", service: "front" }
