import { readdirSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import * as models from "../../../examples/research/models.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const PROGRAM = new URL("../../../examples/main.ts", import.meta.url).pathname

describe("the research example", () => {
  it.live(
    "task in, database, a peer's page, summary, result and event out; nothing is left behind",
    () =>
      Effect.gen(function* () {
        const directory = yield* PilotProcesses.directory
        const environment = { PATH: process.env["PATH"] ?? "", HOME: directory, TMPDIR: directory }
        const { exitCode, stderr, stdout } = yield* PilotProcesses.run(
          process.execPath,
          [PROGRAM, "research"],
          environment
        )

        assert.strictEqual(exitCode, 0, stdout + stderr)
        const lines = stdout.split("\n").map((line) => line.trim())
        const summary =
          "3 papers, the newest A Conservative Loss Recovery Algorithm Based on SACK. It says: " +
          "A receiver that says which segments have arrived lets its sender repeat only those that have not."
        assert.include(lines, `result: from 3 papers: ${summary}`)
        assert.include(lines, 'event research.completed: {"topic":"SACK","papers":3}')
        assert.match(stdout, /scout: researcher wants http:\/\/127\.0\.0\.1:\d+\/rfc6675/)
        assert.include(lines, "TaskFailed: no papers on pigeons")
        assert.deepStrictEqual(PilotProcesses.living(directory), [])
        assert.deepStrictEqual(readdirSync(directory), [])
      }).pipe(Effect.scoped),
    120_000
  )
})

/** A server of chat completions; its URL, and what it was asked. */
const provider = Effect.fnUntraced(function* (status: number, answer: unknown) {
  const asked: Array<{ readonly authorization: string | undefined; readonly body: unknown }> = []
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => (body += chunk))
    request.on("end", () => {
      asked.push({ authorization: request.headers.authorization, body: JSON.parse(body) })
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer))
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/` }
})

const PROMPT = [
  { role: "system", content: "Be brief." },
  { role: "user", content: [{ type: "text", text: "What is SACK?" }] }
] as const

describe("the layer for a real language model", () => {
  it.live("asks any server of chat completions, whole or as a stream", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* provider(200, { choices: [{ message: { role: "assistant", content: "A list." } }] })
      const model = models.chat({ url, model: "small", key: Redacted.make("sk-1") })
      const ask = Effect.gen(function* () {
        const { text } = yield* LanguageModel.generateText({ prompt: PROMPT })
        const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: PROMPT }))
        return [text, ...Array.from(parts).flatMap((part) => (part.type === "text-delta" ? [part.delta] : []))]
      })

      assert.deepStrictEqual(yield* Effect.provide(ask, model), ["A list.", "A list."])
      assert.deepStrictEqual(asked[0], {
        authorization: "Bearer sk-1",
        body: {
          model: "small",
          messages: [
            { role: "system", content: "Be brief." },
            { role: "user", content: "What is SACK?" }
          ]
        }
      })
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)
  )

  it.live("says what went wrong, and whether asking again may help", () =>
    Effect.gen(function* () {
      for (const [status, answer, reason, isRetryable] of [
        [401, {}, "AuthenticationError", false],
        [429, {}, "RateLimitError", true],
        [503, {}, "InternalProviderError", true],
        [200, { choices: [] }, "InvalidOutputError", true]
      ] as const) {
        const { url } = yield* provider(status, answer)
        const failure = yield* LanguageModel.generateText({ prompt: PROMPT }).pipe(
          Effect.provide(models.chat({ url, model: "small" })),
          Effect.flip
        )
        assert.deepInclude(
          { tag: failure.reason._tag, isRetryable: failure.isRetryable },
          { tag: reason, isRetryable },
          failure.message
        )
      }
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)
  )
})
