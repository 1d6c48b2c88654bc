/**
 * Asking a keeper which services the asker may use: one newline-terminated JSON-RPC request on the MCP port instead of a
 * HELLO (mcp §6.2 knows such a peer by its first byte, `{`), one line as the answer, and the stream is over. An extension
 * of ours: a keeper that does not know it closes the stream without a word.
 *
 *     → {"jsonrpc":"2.0","id":1,"method":"pilot/services"}
 *     ← {"jsonrpc":"2.0","id":1,"result":{"services":[{"name":"files","title":"Our files"}]}}
 *
 * The answer holds what this peer may use now and nothing else, so that it tells nobody what exists besides. Unknown
 * members are ignored, so either end may be newer.
 */
import { Result, Schema } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as ListedHealth from "./ListedHealth.ts"

/** The method. Others on the same port are told -32601. */
export const METHOD = "pilot/services"

/** The longest request line that is read, without its newline. */
export const REQUEST_BYTES_MAX = 4096

/** The longest answer that is read, without its newline: room for `SERVICES_MAX` names with titles and health. */
export const REPLY_BYTES_MAX = 327_680

/** Services in one answer; more are left out by who writes it and by who reads it. */
export const SERVICES_MAX = 256

/** Characters of a title; longer ones are cut. */
export const TITLE_CHARACTERS_MAX = 200

/** A service that the asker may use. `title` is what its owner calls it, for people; empty if it has none. */
export interface ListedService {
  readonly name: string
  readonly title: string
  /** How it does now; keepers of before there was any say nothing. */
  readonly health?: ListedHealth.ListedHealth
}

/** One request as it came. */
export interface PlainRequest {
  readonly id: string | number
  readonly method: string
  readonly params: Json.JsonObject
}

/** The answer is none, or says no. */
export class NotListed extends Schema.TaggedError<NotListed>()("NotListed", {
  detail: Schema.String,
  /** It may be asked later. */
  isLate: Schema.Boolean
}) {}

/** The line that asks, with its newline. */
export const request = (id: number): Uint8Array => line({ jsonrpc: "2.0", id, method: METHOD })

/** What a line asks for; undefined for what is no request of JSON-RPC. */
export const parseRequest = (bytes: Uint8Array): PlainRequest | undefined => {
  const message = parse(bytes)
  const id = message === undefined ? undefined : Json.member(message, "id")
  const method = message === undefined ? undefined : Json.member(message, "method")
  if (message === undefined || typeof method !== "string" || (typeof id !== "string" && typeof id !== "number")) {
    return undefined
  }
  const params = Json.member(message, "params")
  return { id, method, params: Json.isObject(params) ? params : {} }
}

/** The result for a listing. */
export const result = (services: ReadonlyArray<ListedService>): Json.JsonObject => ({
  services: services.slice(0, SERVICES_MAX).map(({ health, name, title }) => ({
    name,
    ...(title === "" ? {} : { title: cut(title) }),
    ...(health && { health: ListedHealth.encode(health) })
  }))
})

/** The line of an answer, with its newline. */
export const reply = (id: string | number, value: Json.JsonObject): Uint8Array =>
  line({ jsonrpc: "2.0", id, result: value })

/** The line of a refusal, with its newline. */
export const refusal = (id: string | number, code: number, message: string): Uint8Array =>
  line({ jsonrpc: "2.0", id, error: { code, message } })

/** The services in an answer. Names that no service can have are left out, and a name counts once. */
export const parseReply = (bytes: Uint8Array): Result.Result<ReadonlyArray<ListedService>, NotListed> => {
  const message = parse(bytes)
  if (message === undefined)
    return Result.fail(new NotListed({ detail: "the answer is no JSON-RPC message", isLate: false }))
  const error = Json.member(message, "error")
  if (Json.isObject(error)) {
    const isLate = Json.integer(error, "code") === OVERLOADED
    return Result.fail(new NotListed({ detail: cut(Json.string(error, "message")), isLate }))
  }
  const value = Json.member(message, "result")
  if (!Json.isObject(value) || !Array.isArray(Json.member(value, "services"))) {
    return Result.fail(new NotListed({ detail: "the answer lists no services", isLate: false }))
  }
  const found = new Map<string, ListedService>()
  for (const service of Json.objects(value, "services")) {
    if (found.size >= SERVICES_MAX) break
    const name = Json.string(service, "name")
    if (!NAME.test(name) || found.has(name)) continue
    const health = ListedHealth.decode(Json.member(service, "health"))
    found.set(name, { name, title: cut(Json.string(service, "title")), ...(health && { health }) })
  }
  return Result.succeed([...found.values()])
}

/** JSON-RPC's code for a method that is not there. */
export const METHOD_NOT_FOUND = -32601

/** Ours, as for a call (mcp §1.3). */
export const OVERLOADED = -31007

const line = (message: Json.JsonObject): Uint8Array => Bytes.fromUtf8(`${JSON.stringify(message)}\n`)

const parse = (bytes: Uint8Array): Json.JsonObject | undefined => {
  const text = Bytes.toUtf8(bytes)
  return text === undefined ? undefined : Json.parseObject(text)
}

const cut = (text: string): string =>
  [...text.slice(0, 2 * TITLE_CHARACTERS_MAX)].slice(0, TITLE_CHARACTERS_MAX).join("").toWellFormed()

/** As `expose` accepts them, and `RelayControl.ServiceName` decodes them. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
