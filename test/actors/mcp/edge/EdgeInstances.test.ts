import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { HttpServer, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as HttpEdge from "../../../../src/actors/mcp/edge/HttpEdge.ts"
import * as NativeCrypto from "../../../../src/core/crypto/NativeCrypto.ts"
import * as Json from "../../../../src/core/data/Json.ts"
import * as InstancesRig from "../../../support/InstancesRig.ts"

const HOST = "127.0.0.1:7070"
const LEGACY = { "mcp-protocol-version": "2025-06-18" }
const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {}
}

/** An endpoint before three peers that expose one service, without sockets, so that its time is virtual. */
const stage = Effect.fnUntraced(function* (era: "legacy" | "modern") {
  const rig = yield* InstancesRig.make(era)
  const scope = yield* Effect.scope
  let app: Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    unknown,
    HttpServerRequest.HttpServerRequest | Scope.Scope
  >
  const server = HttpServer.make({
    serve: (effect) =>
      Effect.sync(() => {
        app = effect
      }),
    address: { _tag: "UnixPath", path: "" } as never
  })
  const door = { hosts: new Set([HOST]), origins: new Set<string>(), token: undefined }
  yield* HttpEdge.serve(server, { ...rig.instances, door })
  let id = 0

  /** Posts a request; the answer, and the session that it belongs to. Virtual time passes until it is there. */
  const post = Effect.fnUntraced(function* (
    method: string,
    params: Json.JsonObject,
    headers: Readonly<Record<string, string>> = {}
  ) {
    const request = new Request(`http://${HOST}/mcp`, {
      method: "POST",
      headers: {
        host: HOST,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...headers
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params })
    })
    const fiber = yield* Effect.gen(function* () {
      const response = yield* app
      const { body } = response
      const text =
        body._tag === "Stream"
          ? yield* Stream.mkString(Stream.decodeText(body.stream))
          : body._tag === "Uint8Array"
            ? new TextDecoder().decode(body.body)
            : ""
      const data = text.split("\n").filter((line) => line.startsWith("data: {"))
      return {
        answer: Json.parseObject(data.at(-1)?.slice("data: ".length) ?? text) ?? {},
        session: response.headers["mcp-session-id"] ?? ""
      }
    }).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request)),
      Effect.scoped,
      Effect.forkIn(scope)
    )
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
    return yield* Fiber.join(fiber)
  })
  return { ...rig, post }
})

type Stage = Effect.Success<ReturnType<typeof stage>>

const textIn = (answer: Json.JsonObject): string => {
  const result = Json.member(answer, "result")
  const error = Json.member(answer, "error")
  if (Json.isObject(error)) return `${Json.integer(error, "code")} ${Json.string(error, "message")}`
  return Json.isObject(result) ? Json.string(result, "text") : ""
}

/** A legacy client with a session of its own; gives who answers a call. */
const legacy = Effect.fnUntraced(function* ({ post }: Stage) {
  const opening = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } }
  const { session } = yield* post("initialize", opening)
  const headers = { ...LEGACY, "mcp-session-id": session }
  return (name: string) => Effect.map(post("tools/call", { name }, headers), ({ answer }) => textIn(answer))
})

/** A modern client, which has none. */
const modern = ({ post }: Stage) => {
  const call = (name: string) => {
    const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": name }
    return Effect.map(post("tools/call", { name, _meta: META }, headers), ({ answer }) => textIn(answer))
  }
  return Effect.succeed(call)
}

describe("several instances behind an HTTP endpoint", () => {
  for (const era of ["legacy", "modern"] as const) {
    it.effect(`${era}: the nearest is used, left when it degrades or dies, and used again (virtual time)`, () =>
      Effect.gen(function* () {
        const staged = yield* stage(era)
        const { delays, kill, pass } = staged
        const call = yield* (era === "legacy" ? legacy : modern)(staged)
        yield* pass(40)
        assert.strictEqual(yield* call("where"), "near")

        delays["near"] = 900
        yield* pass(70)
        assert.strictEqual(yield* call("where"), "middle")
        delays["near"] = 10
        yield* pass(90)
        assert.strictEqual(yield* call("where"), "near")

        yield* kill("near")
        assert.strictEqual(yield* call("where"), "middle")
        yield* kill("middle")
        yield* pass(10)
        assert.strictEqual(yield* call("where"), "far")
      }).pipe(Effect.provide(NativeCrypto.layer))
    )
  }

  it.effect("a client whose server hangs goes elsewhere; the other clients stay where theirs work", () =>
    Effect.gen(function* () {
      const staged = yield* stage("legacy")
      const { pass } = staged
      const one = yield* legacy(staged)
      const two = yield* legacy(staged)
      yield* pass(20)
      assert.deepStrictEqual([yield* one("where"), yield* two("where")], ["near", "near"])

      assert.include(yield* one("wedge"), "near answers, but its server does not work, so this mount uses middle now")
      assert.deepStrictEqual([yield* one("where"), yield* two("where")], ["middle", "near"])
    }).pipe(Effect.provide(NativeCrypto.layer))
  )
})
