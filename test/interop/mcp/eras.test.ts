import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Client as Client2 } from "@modelcontextprotocol/client"
import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  McpError,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema
} from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect, Layer, Schema } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as RealServers from "./RealServers.ts"

const live = Layer.merge(NodeServices.layer, NativeCrypto.layer)
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { error: Schema.Unknown }) {}
const promise = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: (error) => new Rejected({ error }) })
const textOf = (result: unknown): string => Schema.decodeUnknownSync(Result)(result).content[0]?.text ?? ""
const Result = Schema.Struct({ content: Schema.Array(Schema.Struct({ text: Schema.String })) })

/** A client of SDK 1, which knows no modern revision, before the server that knows nothing else. */
const legacy = Effect.gen(function* () {
  const rig = yield* RealServers.make(70_000)
  const transport = yield* RealServers.transport(rig, "modern", 2, { isModernOnly: false })
  const client = new Client1(
    { name: "legacy", version: "1" },
    { capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} } }
  )
  yield* Effect.acquireRelease(
    promise(() => client.connect(transport)),
    () => Effect.promise(() => client.close())
  )
  const asked: Array<string> = []
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message)
    return { action: "accept", content: params.mode === "url" ? undefined : { name: "Ann" } }
  })
  client.setRequestHandler(CreateMessageRequestSchema, () => ({
    role: "assistant",
    model: "m",
    content: { type: "text", text: "sampled" }
  }))
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///tmp" }] }))
  const call = (name: string, args: Record<string, unknown> = {}, onprogress?: (step: { progress: number }) => void) =>
    Effect.map(
      promise(() =>
        client.callTool({ name, arguments: args }, undefined, onprogress === undefined ? {} : { onprogress })
      ),
      textOf
    )
  return { asked, call, client, rig, transport }
})

const codeOf = (rejected: unknown): unknown =>
  rejected instanceof Rejected && rejected.error instanceof McpError ? rejected.error.code : rejected

describe("a legacy client before a modern-only server (mcp §6.6)", () => {
  it.live("opens, lists, calls, and hears progress", () =>
    Effect.gen(function* () {
      const { call, client } = yield* legacy
      const { tools } = yield* promise(() => client.listTools())
      const steps: Array<number> = []

      assert.deepInclude(client.getServerVersion(), { name: "modern-only", version: "2.1" })
      assert.strictEqual(client.getInstructions(), "Be modern.")
      assert.includeMembers(
        tools.map(({ name }) => name),
        ["echo", "ask", "list"]
      )
      assert.strictEqual(
        yield* call("echo", { big: 12345678901234567890n.toString(), text: "é𝄞" }),
        '{"big":"12345678901234567890","text":"é𝄞"}'
      )
      assert.strictEqual(yield* call("slow", {}, ({ progress }) => steps.push(progress)), "slow")
      assert.deepStrictEqual(steps.slice(0, 2), [1, 2])
      assert.strictEqual(yield* call("list"), "[1,2]")
      yield* promise(() => client.ping())
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("questions in results become requests to the client: form, page, sample, roots, two at once", () =>
    Effect.gen(function* () {
      const { asked, call, client } = yield* legacy

      assert.strictEqual(yield* call("ask"), '{"given":{"action":"accept","content":{"name":"Ann"}},"state":"state-1"}')
      assert.strictEqual(yield* call("page"), '{"action":"accept"}')
      assert.include(yield* call("sample"), "sampled")
      assert.include(yield* call("roots"), "file:///tmp")
      assert.include(yield* call("both"), '"b":{"action":"accept"')
      assert.strictEqual(yield* call("paced"), "paced")
      const prompt = yield* promise(() => client.getPrompt({ name: "greet" }))

      assert.include(JSON.stringify(prompt), "Ann")
      assert.deepStrictEqual(asked, ["Name?", "Log in", "Name?", "Name?", "Name?"])
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("a server that asks without end is stopped, and a client's refusal reaches the call", () =>
    Effect.gen(function* () {
      const { asked, call, client } = yield* legacy
      const endless = yield* Effect.flip(call("forever"))
      client.removeRequestHandler("sampling/createMessage")
      const refused = yield* Effect.flip(call("sample"))

      assert.strictEqual(codeOf(endless), -32603)
      assert.lengthOf(asked, 10)
      assert.strictEqual(codeOf(refused), -32601)
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("changes, subscriptions and logs reach the client", () =>
    Effect.gen(function* () {
      const { call, client } = yield* legacy
      const [grown, touched, logged] = [
        yield* Deferred.make<void>(),
        yield* Deferred.make<string>(),
        yield* Deferred.make<unknown>()
      ]
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
        Deferred.doneUnsafe(grown, Effect.void)
      })
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
        Deferred.doneUnsafe(touched, Effect.succeed(params.uri))
      })
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
        Deferred.doneUnsafe(logged, Effect.succeed(params.data))
      })
      yield* promise(() => client.subscribeResource({ uri: "test://watched" }))
      yield* call("grow")
      yield* Deferred.await(grown)
      yield* call("touch")
      assert.strictEqual(yield* Deferred.await(touched), "test://watched")
      yield* promise(() => client.unsubscribeResource({ uri: "test://watched" }))
      yield* promise(() => client.setLoggingLevel("info"))
      yield* call("log")
      assert.strictEqual(yield* Deferred.await(logged), "logged")
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("errors and cancellation arrive", () =>
    Effect.gen(function* () {
      const { call, client } = yield* legacy
      const read = yield* Effect.flip(promise(() => client.readResource({ uri: "test://other" })))
      const hung = yield* Effect.flip(
        promise(() => client.callTool({ name: "hang", arguments: {} }, undefined, { timeout: 300 }))
      )

      assert.strictEqual(codeOf(read), -32002)
      assert.strictEqual(codeOf(hung), -32001)
      assert.strictEqual(yield* call("cancelled"), "1")
    }).pipe(Effect.scoped, Effect.provide(live))
  )
})

/** A client of SDK 2 that speaks the modern revision and no other, before a server that does not know it. */
const modern = (service: string, capabilities: ConstructorParameters<typeof Client2>[1] = {}) =>
  Effect.gen(function* () {
    const rig = yield* RealServers.make(70_000)
    const transport = yield* RealServers.transport(rig, service, 2, { isModernOnly: true })
    const client = new Client2(
      { name: "modern", version: "1" },
      {
        capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} },
        ...capabilities,
        versionNegotiation: { mode: { pin: "2026-07-28" } }
      }
    )
    const asked: Array<string> = []
    const isInteractive = capabilities.capabilities === undefined
    if (isInteractive)
      client.setRequestHandler("elicitation/create", ({ params }) => {
        asked.push(params.message)
        return params.mode === "url" ? { action: "accept" } : { action: "accept", content: { name: "Ann" } }
      })
    if (isInteractive)
      client.setRequestHandler("sampling/createMessage", () => ({
        role: "assistant",
        model: "m",
        content: { type: "text", text: "sampled" }
      }))
    if (isInteractive) client.setRequestHandler("roots/list", () => ({ roots: [{ uri: "file:///tmp", name: "tmp" }] }))
    yield* Effect.acquireRelease(
      promise(() => client.connect(transport)),
      () => Effect.promise(() => client.close())
    )
    const call = (name: string, args: Record<string, unknown> = {}) =>
      Effect.map(
        promise(() => client.callTool({ name, arguments: args })),
        (result) => JSON.stringify(result)
      )
    return { asked, call, client, rig, transport }
  })

describe("a modern-only client before server-everything, a legacy server (mcp §6.6)", () => {
  it.live("opens, lists, calls, reads, gets prompts, and hears progress", () =>
    Effect.gen(function* () {
      const { call, client } = yield* modern("everything", { capabilities: {} })
      const { tools } = yield* promise(() => client.listTools())
      const steps: Array<number> = []
      const long = yield* promise(() =>
        client.callTool(
          { name: "trigger-long-running-operation", arguments: { duration: 0.4, steps: 4 } },
          { onprogress: ({ progress }) => steps.push(progress) }
        )
      )
      const { prompts } = yield* promise(() => client.listPrompts())
      const prompt = yield* promise(() => client.getPrompt({ name: "simple-prompt" }))
      const { resources } = yield* promise(() => client.listResources())
      const read = yield* promise(() => client.readResource({ uri: resources[0]?.uri ?? "" }))

      assert.strictEqual(client.getServerVersion()?.name, "mcp-servers/everything")
      assert.isAtLeast(tools.length, 5)
      assert.include(yield* call("echo", { message: "hé 𝄞" }), "hé 𝄞")
      assert.include(JSON.stringify(long), "completed")
      assert.deepStrictEqual(steps.slice(0, 3), [1, 2, 3])
      assert.isAbove(prompts.length, 0)
      assert.isAbove(prompt.messages.length, 0)
      assert.isAbove(read.contents.length, 0)
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("the server's requests become questions in results: form, page, sample, roots", () =>
    Effect.gen(function* () {
      const { asked, call } = yield* modern("everything")

      assert.include(yield* call("trigger-elicitation-request"), "Ann")
      const page = { url: "https://example.org/", message: "Log in" }
      assert.include(yield* call("trigger-url-elicitation", page), "accept")
      assert.include(yield* call("trigger-url-elicitation", { ...page, errorPath: true }), "accept")
      assert.include(yield* call("trigger-sampling-request", { prompt: "hi", maxTokens: 5 }), "sampled")
      assert.include(yield* call("get-roots-list"), "file:///tmp")
      assert.include(asked, "Log in")
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("a subscription is one listen: updates come tagged, and closing it unsubscribes", () =>
    Effect.gen(function* () {
      const { call, client, transport } = yield* modern("everything")
      const { resources } = yield* promise(() => client.listResources())
      const uri = resources[0]?.uri ?? ""
      const updated = yield* Deferred.make<string>()
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
        Deferred.doneUnsafe(updated, Effect.succeed(params.uri))
      })
      const subscription = yield* promise(() => client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] }))
      yield* call("toggle-subscriber-updates")

      assert.strictEqual(yield* Deferred.await(updated), uri)
      yield* call("toggle-subscriber-updates")
      yield* promise(async () => subscription.close())
      assert.isTrue(transport.received.some((line) => line.includes("subscriptions/acknowledged")))
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("errors keep their meaning, and a client without a capability is not asked", () =>
    Effect.gen(function* () {
      const { call, client } = yield* modern("everything", { capabilities: {} })
      const { tools } = yield* promise(() => client.listTools())
      const missing = yield* Effect.flip(promise(() => client.readResource({ uri: "demo://nothing" })))

      assert.notInclude(
        tools.map(({ name }) => name),
        "trigger-elicitation-request"
      )
      assert.include(String(missing.error), "nothing")
      assert.include(yield* call("no-such-tool"), "isError")
    }).pipe(Effect.scoped, Effect.provide(live))
  )
})

describe("with a dual-era party on either side the bridge stays out (mcp §6.6)", () => {
  it.live(
    "a client of both eras goes on with initialize at a legacy server, and the server's answers pass as they came",
    () =>
      Effect.gen(function* () {
        const rig = yield* RealServers.make(70_000)
        const transport = yield* RealServers.transport(rig, "everything", 2, { isModernOnly: false })
        const client = new Client2(
          { name: "dual", version: "1" },
          { capabilities: {}, versionNegotiation: { mode: "auto" } }
        )
        yield* promise(() => client.connect(transport))
        const { tools } = yield* promise(() => client.listTools())

        assert.isAtLeast(tools.length, 5)
        assert.isTrue(transport.received.some((line) => line.includes('"protocolVersion":"2025-11-25"')))
        assert.isFalse(transport.received.some((line) => line.includes("resultType")))
        yield* promise(() => client.close())
      }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("a client of both eras speaks the modern revision with a modern-only server", () =>
    Effect.gen(function* () {
      const rig = yield* RealServers.make(70_000)
      const transport = yield* RealServers.transport(rig, "modern", 2, { isModernOnly: false })
      const client = new Client2(
        { name: "dual", version: "1" },
        { capabilities: {}, versionNegotiation: { mode: "auto" } }
      )
      yield* promise(() => client.connect(transport))
      const echo = yield* promise(() => client.callTool({ name: "echo", arguments: { a: 1 } }))

      assert.strictEqual(textOf(echo), '{"a":1}')
      assert.isFalse(transport.received.some((line) => line.includes("protocolVersion")))
      yield* promise(() => client.close())
    }).pipe(Effect.scoped, Effect.provide(live))
  )
})

describe("mcp mount --detach-after (mcp §6.7)", () => {
  it.live("a long call of server-everything is answered with a handle, and its result is fetched", () =>
    Effect.gen(function* () {
      const rig = yield* RealServers.make(70_000)
      const options = { isModernOnly: false, detachAfter: 1000 }
      const transport = yield* RealServers.transport(rig, "everything", 2, options)
      const client = new Client1({ name: "legacy", version: "1" }, { capabilities: {} })
      yield* promise(() => client.connect(transport))
      const { tools } = yield* promise(() => client.listTools())
      const call = (name: string, args: Record<string, unknown>) =>
        Effect.map(
          promise(() => client.callTool({ name, arguments: args })),
          textOf
        )
      const running = yield* call("trigger-long-running-operation", { duration: 3, steps: 3 })
      const handle = /handle ([0-9a-f]{32})\./.exec(running)?.[1] ?? ""
      let fetched = running
      while (fetched.startsWith("Still running")) fetched = yield* call("pilot_fetch_result", { handle })

      assert.include(
        tools.map(({ name }) => name),
        "pilot_fetch_result"
      )
      assert.isFalse(tools.some(({ outputSchema }) => outputSchema !== undefined))
      assert.include(fetched, "completed")
      assert.strictEqual(yield* call("pilot_fetch_result", { handle }), fetched)
      assert.include(yield* call("echo", { message: "quick" }), "quick")
      yield* promise(() => client.close())
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("the official client of the tasks extension gets the same call as a task (mcp §1.6)", () =>
    Effect.gen(function* () {
      const rig = yield* RealServers.make(70_000)
      const options = { isModernOnly: true, detachAfter: 1000 }
      const transport = yield* RealServers.transport(rig, "everything", 2, options)
      const clientInfo = { name: "tasks", version: "1" }
      const clientCapabilities = { extensions: { "io.modelcontextprotocol/tasks": {} } }
      const client = new Client2(clientInfo, {
        capabilities: clientCapabilities,
        versionNegotiation: { mode: { pin: "2026-07-28" } }
      })
      yield* promise(() => client.connect(transport))
      const session = createTaskSessionFromClient(client, {
        endpointId: "everything",
        rawDispatch: async (request) => transport.dispatch(Object(request)),
        v2RequestFraming: { protocolVersion: "2026-07-28", clientInfo, clientCapabilities }
      })
      const quick = yield* promise(() => session.callTool("echo", { message: "quick" }))
      const long = yield* promise(() => session.callTool("trigger-long-running-operation", { duration: 3, steps: 3 }))
      const { outcome } = yield* promise(() => long.settle())

      assert.deepStrictEqual([quick.kind, long.kind], ["immediate", "task"])
      assert.include(JSON.stringify(resultFromTaskOutcome(outcome)), "completed")
      yield* promise(() => session.close())
      yield* promise(() => client.close())
    }).pipe(Effect.scoped, Effect.provide(live))
  )
})
