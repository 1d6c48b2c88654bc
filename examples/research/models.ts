/**
 * Language models for the research agent, each a layer: what the agent does is the same with any. `MODEL_URL` and `MODEL_NAME` choose a real
 * one (`MODEL_KEY` if it wants a key); without them a scripted one answers, which needs no network and says the same each time.
 */
import { Config, Effect, Layer, Option, type Redacted, Schema, Stream } from "effect"
import { AiError, LanguageModel, type Prompt, type Response } from "effect/ai"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"

/** Counts the papers in the prompt, and quotes the first sentence of the page. */
export const scripted: Layer.Layer<LanguageModel.LanguageModel> = Layer.effect(
  LanguageModel.LanguageModel,
  ofText((prompt) => {
    const text = messagesOf(prompt)
      .map(({ content }) => content)
      .join("\n")
    const titles = [...text.matchAll(/^- (.+) \(\d{4}\)$/gm)].map(([, title]) => title)
    const [first = ""] = (/"""\n([\s\S]*)\n"""/.exec(text)?.[1] ?? "").split(/(?<=\.)\s/)
    return Effect.succeed(`${titles.length} papers, the newest ${titles.at(-1)}. It says: ${first.trim()}`)
  })
)

/** Any server that speaks OpenAI's chat completions, as most do: hosted ones, and llama.cpp, Ollama or vLLM on this machine. */
export const chat = (options: {
  /** Such as `http://127.0.0.1:11434/v1`. */
  readonly url: string
  readonly model: string
  readonly key?: Redacted.Redacted | undefined
}): Layer.Layer<LanguageModel.LanguageModel, never, HttpClient.HttpClient> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.flatMap(HttpClient.HttpClient, (http) => {
      const bare = HttpClientRequest.post(`${options.url.replace(/\/$/, "")}/chat/completions`)
      const request = options.key === undefined ? bare : HttpClientRequest.bearerToken(bare, options.key)
      return ofText((prompt) =>
        HttpClientRequest.bodyJson(request, { model: options.model, messages: messagesOf(prompt) }).pipe(
          Effect.flatMap(http.execute),
          Effect.flatMap(HttpClientResponse.filterStatusOk),
          Effect.flatMap(HttpClientResponse.schemaBodyJson(Completion)),
          Effect.map(({ choices: [{ message }] }) => message.content),
          Effect.mapError(
            (cause) => new AiError.AiError({ module: "chat", method: "generateText", reason: reasonOf(cause) })
          )
        )
      )
    })
  )

/** The model that the environment names. */
export const fromEnvironment: Layer.Layer<LanguageModel.LanguageModel, Config.ConfigError, HttpClient.HttpClient> =
  Layer.unwrap(
    Effect.gen(function* () {
      const url = yield* Config.option(Config.String("MODEL_URL"))
      if (Option.isNone(url)) return scripted
      const key = yield* Config.option(Config.Redacted("MODEL_KEY"))
      return chat({ url: url.value, model: yield* Config.String("MODEL_NAME"), key: Option.getOrUndefined(key) })
    })
  )

const Completion = Schema.Struct({
  choices: Schema.NonEmptyArray(Schema.Struct({ message: Schema.Struct({ content: Schema.String }) }))
})

/** Busy or broken servers may answer the next time; another answer will not come of asking again. */
const reasonOf = (cause: {
  readonly _tag: string
  readonly message: string
  readonly response?: { readonly status: number } | undefined
}) => {
  const description = cause.message
  const status = cause.response?.status
  if (status === 401 || status === 403) return new AiError.AuthenticationError({ kind: "InvalidKey" })
  if (status === 429) return new AiError.RateLimitError({})
  if (status !== undefined && status >= 500) return new AiError.InternalProviderError({ description })
  return cause._tag === "HttpClientError" && status === undefined
    ? new AiError.InternalProviderError({ description })
    : new AiError.InvalidOutputError({ description })
}

/** A model that answers with a text, whole or as a stream of one piece. */
function ofText(answer: (prompt: Prompt.Prompt) => Effect.Effect<string, AiError.AiError>) {
  return LanguageModel.make({
    generateText: ({ prompt }) => Effect.map(answer(prompt), (text) => [{ type: "text", text }, FINISH]),
    streamText: ({ prompt }) =>
      Stream.unwrap(
        Effect.map(answer(prompt), (delta) =>
          Stream.make<ReadonlyArray<Response.StreamPartEncoded>>(
            { type: "text-start", id: "1" },
            { type: "text-delta", id: "1", delta },
            { type: "text-end", id: "1" },
            FINISH
          )
        )
      )
  })
}

const messagesOf = (prompt: Prompt.Prompt) =>
  prompt.content.flatMap(({ content, role }) => {
    const text =
      typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "")).join("")
    return role === "tool" ? [] : [{ role, content: text }]
  })

const FINISH = {
  type: "finish",
  reason: "stop",
  usage: {
    inputTokens: { uncached: undefined, total: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: undefined, text: undefined, reasoning: undefined }
  },
  response: undefined
} as const
