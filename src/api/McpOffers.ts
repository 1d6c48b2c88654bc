/** What a server offers beside tools: prompts, resources and completions, as the program uses them. */
import { Effect } from "effect"
import type { McpClient, McpError } from "../actors/mcp/client/McpClient.ts"
import * as Json from "../core/data/Json.ts"

/** A prompt as its server describes it. */
export interface Prompt {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly arguments: ReadonlyArray<{
    readonly name: string
    readonly description: string
    readonly isRequired: boolean
  }>
}

/** A prompt with its arguments filled in; messages as the server sent them. */
export interface PromptResult {
  readonly description: string
  readonly messages: ReadonlyArray<Json.JsonObject>
}

/** A resource, or a template of many: then `uri` has places in braces. */
export interface Resource {
  readonly uri: string
  readonly name: string
  readonly title: string
  readonly description: string
  readonly mimeType: string
}

/** One part of a resource; `blob` is base64. */
export interface ResourceContents {
  readonly uri: string
  readonly mimeType: string
  readonly text: string | undefined
  readonly blob: string | undefined
}

/** Values that an argument may have. */
export interface Completion {
  readonly values: ReadonlyArray<string>
  readonly hasMore: boolean
  readonly total: number | undefined
}

/** What a completion is wanted for: an argument of a prompt, or a place in the URI of a resource template. */
export interface CompletionOf {
  readonly prompt?: string
  readonly resource?: string
  readonly argument: string
  readonly value: string
  /** What the other arguments are. */
  readonly others?: Readonly<Record<string, string>>
}

/** Everything but tools. Lists are asked for now, all their pages. */
export interface Offers {
  readonly prompts: Effect.Effect<ReadonlyArray<Prompt>, McpError>
  readonly prompt: (name: string, args?: Readonly<Record<string, string>>) => Effect.Effect<PromptResult, McpError>
  readonly resources: Effect.Effect<ReadonlyArray<Resource>, McpError>
  readonly resourceTemplates: Effect.Effect<ReadonlyArray<Resource>, McpError>
  readonly read: (uri: string) => Effect.Effect<ReadonlyArray<ResourceContents>, McpError>
  readonly complete: (of: CompletionOf) => Effect.Effect<Completion, McpError>
}

/** The offers behind a client. */
export const make = ({ list, request }: Pick<McpClient, "list" | "request">): Offers => ({
  prompts: Effect.map(list("prompts/list", "prompts"), (prompts) => prompts.map(toPrompt)),
  prompt: (name, args = {}) =>
    Effect.map(request("prompts/get", { name, arguments: args }), (result) => ({
      description: Json.string(result, "description"),
      messages: Json.objects(result, "messages")
    })),
  resources: Effect.map(list("resources/list", "resources"), (resources) => resources.map(toResource("uri"))),
  resourceTemplates: Effect.map(list("resources/templates/list", "resourceTemplates"), (templates) =>
    templates.map(toResource("uriTemplate"))
  ),
  read: (uri) =>
    Effect.map(request("resources/read", { uri }), (result) => Json.objects(result, "contents").map(toContents)),
  complete: (of) => Effect.map(request("completion/complete", completionParams(of)), toCompletion)
})

const toPrompt = (prompt: Json.JsonObject): Prompt => ({
  ...described(prompt),
  arguments: Json.objects(prompt, "arguments").map((argument) => ({
    name: Json.string(argument, "name"),
    description: Json.string(argument, "description"),
    isRequired: Json.boolean(argument, "required")
  }))
})

const toResource =
  (uri: "uri" | "uriTemplate") =>
  (resource: Json.JsonObject): Resource => ({
    ...described(resource),
    uri: Json.string(resource, uri),
    mimeType: Json.string(resource, "mimeType")
  })

const toContents = (contents: Json.JsonObject): ResourceContents => {
  const [text, blob] = [Json.member(contents, "text"), Json.member(contents, "blob")]
  return {
    uri: Json.string(contents, "uri"),
    mimeType: Json.string(contents, "mimeType"),
    text: typeof text === "string" ? text : undefined,
    blob: typeof blob === "string" ? blob : undefined
  }
}

const completionParams = ({ argument, others, prompt, resource, value }: CompletionOf): Json.JsonObject => ({
  ref: resource === undefined ? { type: "ref/prompt", name: prompt } : { type: "ref/resource", uri: resource },
  argument: { name: argument, value },
  ...(others === undefined ? {} : { context: { arguments: others } })
})

const toCompletion = (result: Json.JsonObject): Completion => {
  const found = Json.member(result, "completion")
  const completion = Json.isObject(found) ? found : {}
  const total = Json.member(completion, "total")
  return {
    values: Json.strings(completion, "values"),
    hasMore: Json.boolean(completion, "hasMore"),
    total: typeof total === "number" ? total : undefined
  }
}

const described = (self: Json.JsonObject) => ({
  name: Json.string(self, "name"),
  title: Json.string(self, "title"),
  description: Json.string(self, "description")
})
