/** An MCP server and a client of it, small enough to read and good enough for the relay between them. */
import { Effect, FiberSet } from "effect"
import * as Json from "../../src/core/data/Json.ts"
import type { PipeEnd } from "../../src/testing/VirtualPipe.ts"
import type { Program } from "../../src/testing/VirtualSpawner.ts"

/**
 * A server with one tool: it waits `ms`, then says what it was told, and which process it is. Calls run side by side;
 * it ends with its input.
 */
export const server: Program = (child) =>
  Effect.scoped(
    Effect.gen(function* () {
      const calls = yield* FiberSet.make()
      const reply = (id: unknown, result: unknown) => child.writeLine(JSON.stringify({ jsonrpc: "2.0", id, result }))
      while (true) {
        const request = Json.parseObject(yield* child.readLine) ?? {}
        const params = Json.member(request, "params")
        const { ms, text } = Json.isObject(params) ? params : { ms: undefined, text: undefined }
        if (request["method"] === "initialize") {
          yield* reply(request["id"], { protocolVersion: "2025-11-25", capabilities: { tools: {} } })
        } else if (request["method"] === "tools/call") {
          yield* FiberSet.run(
            calls,
            Effect.andThen(Effect.sleep(Number(ms)), reply(request["id"], { text, pid: child.pid }))
          )
        }
      }
    })
  ).pipe(Effect.ignore)

/** What became of a call. `pid` is the process that did it; `code` is the relay's reason why there is no result. */
export type Outcome =
  | { readonly _tag: "Result"; readonly text: unknown; readonly pid: unknown }
  | { readonly _tag: "Failed"; readonly code: number; readonly retryable: unknown; readonly delivered: unknown }

/** Opens the session, as every client does first. */
export const initialize = (pipe: PipeEnd) =>
  Effect.gen(function* () {
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "sim", version: "1" } }
    yield* pipe.writeLine(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params }))
    const answer = Json.parseObject(yield* pipe.readLine) ?? {}
    yield* pipe.writeLine(JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }))
    return answer
  })

/** Asks for one call; its answer comes when it comes. */
export const ask = (pipe: PipeEnd, id: number, text: string, ms: number) =>
  pipe.writeLine(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name: "say", ms, text } }))

/** The next answer, and which call it answers. */
export const answer = (pipe: PipeEnd) =>
  Effect.map(pipe.readLine, (line): readonly [id: number, outcome: Outcome] => {
    const message = Json.parseObject(line) ?? {}
    const id = Number(message["id"])
    const [result, error] = [Json.member(message, "result"), Json.member(message, "error")]
    if (Json.isObject(result)) return [id, { _tag: "Result", text: result["text"], pid: result["pid"] }]
    if (!Json.isObject(error)) throw new Error(`no answer: ${line}`)
    const data = Json.member(error, "data")
    const { delivered, retryable } = Json.isObject(data) ? data : { delivered: undefined, retryable: undefined }
    return [id, { _tag: "Failed", code: Number(error["code"]), retryable, delivered }]
  })

/** One call to its end, when no other is under way. */
export const call = (pipe: PipeEnd, id: number, text: string, ms: number) =>
  Effect.andThen(
    ask(pipe, id, text, ms),
    Effect.map(answer(pipe), ([, outcome]) => outcome)
  )
