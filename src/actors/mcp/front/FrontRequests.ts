/** What each message of a front's client does (mcp §6.11): answered here, or sent to the service that it is for. */
import { Effect, Result } from "effect"
import * as Json from "../../../core/data/Json.ts"
import type { Catalog, Kind } from "../../../protocol/mcp/Catalog.ts"
import * as MetaTools from "../../../protocol/mcp/MetaTools.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { FrontCalls } from "./FrontCalls.ts"
import type { FrontClient } from "./FrontClient.ts"
import type { FrontHeld } from "./FrontHeld.ts"
import type { FrontLists } from "./FrontLists.ts"
import * as FrontMeta from "./FrontMeta.ts"
import * as FrontOpening from "./FrontOpening.ts"
import type { FrontQuestions } from "./FrontQuestions.ts"
import { INVALID_PARAMS, METHOD_NOT_FOUND, type Refused, refused } from "./FrontRefusal.ts"
import type { FrontRouting } from "./FrontRouting.ts"
import type { FrontServices } from "./FrontServices.ts"
import type { FrontSubscriptions } from "./FrontSubscriptions.ts"
import * as FrontTasks from "./FrontTasks.ts"
import type { FrontUpstream } from "./FrontUpstream.ts"

/** The least severe log messages that the client wants; undefined before it has said so. */
export interface LogLevel {
  level: string | undefined
}

/** The parts of a session. */
export interface Parts {
  readonly calls: FrontCalls
  readonly catalog: Catalog
  readonly client: FrontClient
  readonly held: FrontHeld
  readonly lists: FrontLists
  readonly logs: LogLevel
  readonly questions: FrontQuestions
  readonly routing: FrontRouting
  readonly self: Json.JsonObject
  readonly services: FrontServices
  readonly subscriptions: FrontSubscriptions
}

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>
type Notification = Extract<JsonRpcPeek.Envelope, { _tag: "Notification" }>

/** A request of the client. */
export const request = Effect.fnUntraced(function* (parts: Parts, message: Uint8Array, asked: Request) {
  const { client, held } = parts
  const modern = FrontOpening.ofRequest(message)
  if (modern !== undefined) {
    if (Result.isFailure(modern)) return yield* client.refuse(asked.id, modern.failure)
    client.setProfile(modern.success)
    yield* hearLogs(parts, modern.success.logLevel)
    const resumed = yield* Effect.result(held.resume(message, asked))
    if (Result.isFailure(resumed)) return yield* client.refuse(asked.id, resumed.failure)
    if (resumed.success) return
  }
  yield* perform(parts, message, asked)
})

const perform = (parts: Parts, message: Uint8Array, asked: Request): Effect.Effect<void> => {
  const { calls, client, routing } = parts
  const { id, method, target } = asked
  const list = Object.hasOwn(LISTS, method) ? LISTS[method] : undefined
  if (list !== undefined) return calls.run(asked, parts.lists.page(list, cursorOf(message)))
  switch (method) {
    case "initialize":
      client.setProfile(FrontOpening.initializing(message))
      return client.respond(id, FrontOpening.initialized(client.profile(), parts.self))
    case "server/discover":
      return client.respond(id, FrontOpening.discovered())
    case "ping":
      return client.respond(id, {})
    case "tools/call":
      return callTool(parts, message, asked)
    case "prompts/get":
      return calls.submit(asked, routing.prompt(message, target ?? ""))
    case "resources/read":
      return calls.submit(asked, routing.resource(message, target ?? ""))
    case "completion/complete":
      return calls.submit(asked, routing.completion(message))
    case "resources/subscribe":
      return calls.run(asked, Effect.as(subscribe(parts, target ?? ""), {}))
    case "resources/unsubscribe":
      return calls.run(asked, Effect.as(parts.subscriptions.remove(target ?? ""), {}))
    case "subscriptions/listen":
      return listen(parts, message, id)
    case "logging/setLevel":
      return calls.run(asked, Effect.as(setLevels(parts, JsonRpcPeek.string(message, ["params", "level"])), {}))
    case "tasks/list":
      return client.profile().era === "legacy"
        ? calls.run(asked, FrontTasks.list(parts.services))
        : client.refuse(id, refused(METHOD_NOT_FOUND, "Method not found: tasks/list"))
    case "tasks/get":
    case "tasks/result":
    case "tasks/cancel":
    case "tasks/update":
      return calls.submit(asked, routing.task(message))
    default:
      return client.refuse(id, refused(METHOD_NOT_FOUND, `Method not found: ${method.slice(0, 128)}`))
  }
}

/** A notification of the client. */
export const notification = (parts: Parts, message: Uint8Array, told: Notification): Effect.Effect<void> => {
  const { calls, client, questions, services } = parts
  switch (told.method) {
    case "notifications/cancelled": {
      const id = told.cancels
      if (id === undefined) return Effect.void
      return Effect.flatMap(calls.cancel(id, message), (isCall) => (isCall ? Effect.void : unlisten(parts, id)))
    }
    case "notifications/progress":
      return told.progressToken === undefined
        ? Effect.void
        : Effect.asVoid(questions.progressed(message, told.progressToken))
    case "notifications/roots/list_changed":
      if (client.profile().era !== "legacy") return Effect.void
      return Effect.forEach(
        openServices(services),
        ({ era, write }) => (era.kind === "legacy" ? write(message) : Effect.void),
        {
          discard: true
        }
      )
    default:
      return Effect.void
  }
}

const callTool = (parts: Parts, message: Uint8Array, asked: Request): Effect.Effect<void> => {
  const { calls, lists, routing } = parts
  const name = asked.target ?? ""
  // Whether they are listed may change with the next service; who knows their names may use them.
  if (!MetaTools.isName(name)) return calls.submit(asked, routing.tool(message, name))
  if (name !== MetaTools.NAME.call) {
    const done = Effect.map(FrontMeta.run(parts, name, message), (outcome) =>
      outcome._tag === "Done" ? outcome.result : {}
    )
    return calls.run(asked, done)
  }
  if (lists.metaMode() === "reveal") {
    return parts.client.refuse(asked.id, refused(INVALID_PARAMS, "Unknown tool: call what was found by its own name."))
  }
  return calls.submitOr(asked, FrontMeta.run(parts, name, message))
}

const subscribe = (parts: Parts, uri: string): Effect.Effect<void, Refused> =>
  Effect.flatMap(parts.routing.owner(uri), (route) => parts.subscriptions.add(uri, route))

const listen = Effect.fnUntraced(function* (parts: Parts, message: Uint8Array, id: string) {
  const filter = Json.parseObject(JsonRpcPeek.member(message, ["params", "notifications"]) ?? "{}") ?? {}
  if (!(yield* parts.client.listen(id, filter))) return
  // One after the other is slow where services have to be opened; the stream is there already.
  yield* Effect.forkIn(
    Effect.forEach(
      Json.strings(filter, "resourceSubscriptions"),
      (uri) =>
        Effect.catch(subscribe(parts, uri), ({ message: text }) => Effect.logWarning(`mcp: no subscription: ${text}`)),
      {
        concurrency: 4,
        discard: true
      }
    ),
    parts.services.scope
  )
})

const unlisten = (parts: Parts, id: string): Effect.Effect<void> => {
  const filter = parts.client.unlisten(id)
  return Effect.forEach(
    filter === undefined ? [] : Json.strings(filter, "resourceSubscriptions"),
    (uri) => Effect.forkIn(parts.subscriptions.remove(uri), parts.services.scope),
    { discard: true }
  )
}

const setLevels = Effect.fnUntraced(function* (
  parts: Parts,
  level: string | undefined
): Effect.fn.Return<void, Refused> {
  if (level === undefined || !LEVELS.includes(level))
    return yield* refused(INVALID_PARAMS, "level: one of RFC 5424 is wanted")
  parts.logs.level = level
  const { client } = parts
  if (client.profile().era === "legacy") client.setProfile({ ...client.profile(), logLevel: level })
  yield* Effect.forEach(openServices(parts.services), (upstream) => setLevel(upstream, level), {
    concurrency: "unbounded",
    discard: true
  })
})

/** A modern client says it with each request; of what it said, the least severe holds for legacy services (mcp §6.6). */
const hearLogs = (parts: Parts, level: string | undefined): Effect.Effect<void> => {
  if (level === undefined || !LEVELS.includes(level)) return Effect.void
  if (parts.logs.level !== undefined && LEVELS.indexOf(parts.logs.level) <= LEVELS.indexOf(level)) return Effect.void
  return Effect.asVoid(Effect.forkIn(Effect.ignore(setLevels(parts, level)), parts.services.scope))
}

/** Tells a legacy service which log messages are wanted. */
export const setLevel = (upstream: FrontUpstream, level: string | undefined): Effect.Effect<void> =>
  level === undefined ||
  upstream.era.kind === "modern" ||
  !Json.isObject(Json.member(upstream.era.capabilities, "logging"))
    ? Effect.void
    : Effect.ignore(Effect.timeoutOption(upstream.ask("logging/setLevel", { level }), LEVEL_TIMEOUT))

const openServices = (services: FrontServices): ReadonlyArray<FrontUpstream> =>
  services.all().flatMap(({ alias }) => services.openNow(alias) ?? [])

const cursorOf = (message: Uint8Array): string | undefined => JsonRpcPeek.string(message, ["params", "cursor"])

const LISTS: Readonly<Record<string, Kind>> = {
  "tools/list": "tools",
  "prompts/list": "prompts",
  "resources/list": "resources",
  "resources/templates/list": "resourceTemplates"
}
/** RFC 5424, the least severe first. */
const LEVELS: ReadonlyArray<string> = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
const LEVEL_TIMEOUT = "5 seconds"
