/**
 * The tools that stand for all others when there are too many to list (mcp §6.11): finding, describing and calling them.
 * No federated name can be one of theirs, since those have a `__`.
 */
import * as Json from "../../core/data/Json.ts"
import type { Item } from "./Catalog.ts"
import * as PlainText from "./PlainText.ts"

/** Their names. */
export const NAME = {
  search: "search_tools",
  describe: "describe_tool",
  call: "call_tool",
  services: "list_services"
} as const

/** One of their names. */
export type Name = (typeof NAME)[keyof typeof NAME]

/** `reveal` lists what was found by its own name; `call` adds a tool that calls any other. */
export type Mode = "reveal" | "call"

/** A service as `list_services` shows it. */
export interface ServiceRow {
  readonly alias: string
  readonly service: string
  readonly title: string
  /** `up`, `down`, or `connecting` before it has answered. */
  readonly state: string
  readonly tools: number
}

/** What a search asks for. */
export interface Search {
  readonly query: string
  readonly limit: number
  readonly service: string | undefined
}

/** Their definitions, in order. */
export const definitions = (mode: Mode): ReadonlyArray<Json.JsonObject> =>
  mode === "call" ? [CALL, DESCRIBE, SERVICES, search(mode)] : [DESCRIBE, SERVICES, search(mode)]

/** The search in arguments; a text that says what is wrong with them. */
export const searchIn = (args: Json.JsonObject): Search | string => {
  const query = Json.string(args, "query")
  const limit = Json.member(args, "limit") ?? LIMIT_DEFAULT
  const service = Json.member(args, "service")
  if (query.trim() === "") return "query: words that say what the tool should do are wanted"
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    return `limit: a whole number from 1 to ${LIMIT_MAX} is wanted`
  }
  return service !== undefined && typeof service !== "string"
    ? "service: a text is wanted"
    : { query, limit, service: service === "" ? undefined : service }
}

/** One found tool, short. */
export const found = (item: Item, pin: string): Json.JsonObject => ({
  name: item.name,
  service: item.origin,
  ...(Json.string(item.value, "title") === ""
    ? {}
    : { title: PlainText.line(Json.string(item.value, "title"), LINE_MAX) }),
  description: PlainText.line(Json.string(item.value, "description"), LINE_MAX),
  hints: Json.member(item.value, "annotations") ?? {},
  pin
})

/** A result that a model reads as text and a program as a value. */
export const result = (value: Json.JsonObject): Json.JsonObject => ({
  content: [{ type: "text", text: JSON.stringify(value) }],
  structuredContent: value
})

/** A result that says what went wrong, so that the model can do better. */
export const failed = (text: string): Json.JsonObject => ({ content: [{ type: "text", text }], isError: true })

/** Whether it is one of theirs. */
export const isName = (name: string | undefined): name is Name => Object.values(NAME).some((known) => known === name)

const search = (mode: Mode): Json.JsonObject => ({
  name: NAME.search,
  title: "Search tools",
  description:
    'Finds tools of all connected services by what they do. Say it in a few words, as "translate a pdf". ' +
    (mode === "reveal"
      ? "The tools found are added to the list of tools; call them by their names."
      : `Call what was found with ${NAME.call}.`),
  inputSchema: {
    type: "object",
    properties: {
      query: { type: "string", description: "What the tool should do, or its name" },
      limit: { type: "integer", minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
      service: { type: "string", description: `Only tools of this service, as ${NAME.services} shows it` }
    },
    required: ["query"]
  },
  annotations: HARMLESS
})

const HARMLESS = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true }

const DESCRIBE: Json.JsonObject = {
  name: NAME.describe,
  title: "Describe a tool",
  description: "The whole definition of one tool: description, schema of its arguments, hints, pin.",
  inputSchema: {
    type: "object",
    properties: { name: { type: "string", description: `The name that ${NAME.search} gave` } },
    required: ["name"]
  },
  annotations: HARMLESS
}

const SERVICES: Json.JsonObject = {
  name: NAME.services,
  title: "List services",
  description: "The services that this client can use, whether they answer now, and how many tools each has.",
  inputSchema: { type: "object", properties: {} },
  annotations: HARMLESS
}

/** It may do what any tool may do, so it carries the worst hints; and any result, so it has no schema for one. */
const CALL: Json.JsonObject = {
  name: NAME.call,
  title: "Call a tool",
  description: `Calls any tool of any connected service. See its arguments with ${NAME.describe} first.`,
  inputSchema: {
    type: "object",
    properties: {
      name: { type: "string", description: `The name that ${NAME.search} gave` },
      arguments: { type: "object", description: "The arguments of that tool" },
      pin: { type: "string", description: `The pin that ${NAME.describe} gave: refuses if the definition has changed` }
    },
    required: ["name"]
  },
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true }
}

const LIMIT_DEFAULT = 10
const LIMIT_MAX = 50
const LINE_MAX = 200
