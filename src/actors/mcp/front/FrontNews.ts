/** What services say and ask by themselves, as the client of a front hears it (mcp §6.11). */
import { Effect } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Kind } from "../../../protocol/mcp/Catalog.ts"
import * as PlainText from "../../../protocol/mcp/PlainText.ts"
import * as JsonEdit from "../../../protocol/relay/JsonEdit.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Call } from "./FrontCall.ts"
import type { FrontCalls } from "./FrontCalls.ts"
import type { FrontClient } from "./FrontClient.ts"
import type { FrontHeld } from "./FrontHeld.ts"
import type { FrontLists } from "./FrontLists.ts"
import * as FrontQuestions from "./FrontQuestions.ts"
import type { KnownService } from "./FrontRoster.ts"
import type { FrontServices } from "./FrontServices.ts"
import type { FrontSubscriptions } from "./FrontSubscriptions.ts"
import * as FrontTaskIds from "./FrontTaskIds.ts"
import type { Write } from "./FrontUpstream.ts"

/** Where it goes. */
export interface Options {
  readonly client: FrontClient
  readonly calls: FrontCalls
  readonly held: FrontHeld
  readonly lists: FrontLists
  readonly questions: FrontQuestions.FrontQuestions
  readonly services: FrontServices
  readonly subscriptions: FrontSubscriptions
  /** Whether the client wants to hear log messages of services. */
  readonly wantsLogs: () => boolean
  /** The client stands for several: a question that is not of one call could be for any of them. */
  readonly isShared: boolean
}

/** One message of a service that answers nothing; `owner` if its session is of one call. */
export const receive = (
  options: Options,
  service: KnownService,
  said: Uint8Array,
  envelope: JsonRpcPeek.Envelope,
  write: Write,
  owner?: Call
): Effect.Effect<void> => {
  if (envelope._tag !== "Request" && envelope._tag !== "Notification") return Effect.void
  const message = FrontTaskIds.told(service.alias, envelope.method, said)
  if (envelope._tag === "Request") return asked(options, service, message, envelope, write, owner)
  if (owner === undefined || Object.hasOwn(CHANGED, envelope.method)) return told(options, service, message, envelope)
  const isStep = envelope.method === "notifications/progress" && envelope.progressToken === owner.token
  return isStep && owner.token !== undefined ? options.client.write(message) : Effect.void
}

const asked = (
  { calls, client, held, isShared, questions }: Options,
  service: KnownService,
  message: Uint8Array,
  request: Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>,
  write: Write,
  owner: Call | undefined
): Effect.Effect<void> => {
  const { id, method } = request
  if (method === "ping") return write(Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"result":{}}`))
  if (client.profile().era === "legacy") return questions.pass(service, write, message, request)
  // The question carries no mark of its call; any call of one client leads to the same person (mcp §3.2).
  const call = owner ?? (isShared ? undefined : calls.oldest(service.alias))
  return call === undefined || !questions.isAllowed(service, method, call.profile)
    ? write(FrontQuestions.refusal(id, method))
    : held.ask(call, { service, write, message, request })
}

const told = (
  { calls, client, lists, questions, services, subscriptions, wantsLogs }: Options,
  service: KnownService,
  message: Uint8Array,
  { cancels, method, progressToken }: Extract<JsonRpcPeek.Envelope, { _tag: "Notification" }>
): Effect.Effect<void> => {
  switch (method) {
    case "notifications/progress":
      // Only the service that works on a call may tell its steps.
      return progressToken !== undefined && calls.hasToken(service.alias, progressToken)
        ? client.write(message)
        : Effect.void
    case "notifications/cancelled":
      return cancels === undefined ? Effect.void : questions.withdrawn(service, cancels)
    case "notifications/message":
      return wantsLogs() ? client.write(signedLog(service, message)) : Effect.void
    case "notifications/resources/updated":
      return subscriptions.updated(service, message)
    case "notifications/tasks/status":
    case "notifications/tasks":
    case "notifications/elicitation/complete":
      return client.write(message)
    default: {
      const kinds = Object.hasOwn(CHANGED, method) ? CHANGED[method] : undefined
      for (const kind of kinds ?? []) services.outdate(service.alias, kind)
      return Effect.forEach(kinds ?? [], lists.touch, { discard: true })
    }
  }
}

/** Whose words these are stands before what the service calls the source itself. */
const signedLog = ({ alias }: KnownService, message: Uint8Array): Uint8Array => {
  const logger = JsonRpcPeek.string(message, ["params", "logger"])
  const named = logger === undefined ? alias : `${alias}/${PlainText.line(logger, LOGGER_CHARACTERS_MAX)}`
  return JsonEdit.set(message, ["params"], [["logger", JSON.stringify(named)]])
}

const CHANGED: Readonly<Record<string, ReadonlyArray<Kind>>> = {
  "notifications/tools/list_changed": ["tools"],
  "notifications/prompts/list_changed": ["prompts"],
  "notifications/resources/list_changed": ["resources", "resourceTemplates"]
}
const LOGGER_CHARACTERS_MAX = 100
