/**
 * An agent that speaks A2A (Agent2Agent, a2a-protocol.org) on a virtual port: its card and its endpoint are reachable for the peers that
 * are named and for nobody else, and each request comes with the key of its peer instead of a token.
 */
import { AGENT_CARD_PATH, AgentCard, formatSSEEvent, SSE_HEADERS, Task, TaskState } from "@a2a-js/sdk"
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
  validateVersion
} from "@a2a-js/sdk/server"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Pilot } from "effect-pilot"

/** Where it is served. */
export const PORT = 4100

/** What any client of A2A reads first. */
export const card = AgentCard.fromJSON({
  name: "Warehouse",
  description: "Says how many of an article are in stock",
  version: "1.0.0",
  supportedInterfaces: [
    { url: `http://warehouse.pilot:${PORT}/a2a`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }
  ],
  capabilities: { streaming: true },
  defaultInputModes: ["text/plain"],
  defaultOutputModes: ["text/plain"],
  skills: [{ id: "stock", name: "Stock", description: "How many are there?", tags: ["warehouse"], examples: ["bolts"] }]
})

const STOCK: Readonly<Record<string, number>> = { bolts: 1200, nuts: 17 }

/** What it does: one task for each message, whose events are told as they happen. */
const executor: AgentExecutor = {
  execute: async ({ context, contextId, taskId, userMessage }, bus) => {
    const article = userMessage.parts.map(({ content }) => (content?.$case === "text" ? content.value : "")).join(" ")
    const peer = context.user?.userName ?? "somebody"
    const status = (state: TaskState) =>
      bus.publish(
        AgentEvent.statusUpdate({
          ...{ taskId, contextId, metadata: undefined },
          status: { state, message: undefined, timestamp: new Date().toISOString() }
        })
      )
    bus.publish(AgentEvent.task(Task.fromJSON({ id: taskId, contextId, status: { state: "TASK_STATE_SUBMITTED" } })))
    status(TaskState.TASK_STATE_WORKING)
    const count = STOCK[article]
    if (count === undefined) return status(TaskState.TASK_STATE_FAILED)
    bus.publish(
      AgentEvent.artifactUpdate({
        ...{ taskId, contextId, append: false, lastChunk: true, metadata: undefined },
        artifact: {
          ...{ artifactId: "stock", name: "stock", description: "", metadata: undefined, extensions: [] },
          parts: [
            {
              ...{ metadata: undefined, filename: "", mediaType: "text/plain" },
              content: { $case: "text", value: `${count} ${article}, for ${peer}` }
            }
          ]
        }
      })
    )
    status(TaskState.TASK_STATE_COMPLETED)
  },
  // Every task is done before anybody could cancel it.
  cancelTask: async () => {}
}

/** The card, and JSON-RPC over HTTP with server-sent events. */
export const warehouse = (allow: ReadonlyArray<string>) => {
  const transport = new JsonRpcTransportHandler(new DefaultRequestHandler(card, new InMemoryTaskStore(), executor))
  const endpoint = Effect.gen(function* () {
    const { headers, json } = yield* HttpServerRequest.HttpServerRequest
    const { hostname } = yield* Pilot.caller
    const context = new ServerCallContext({
      // The tunnel has proved who it is.
      user: { isAuthenticated: true, userName: hostname },
      requestedVersion: headers["a2a-version"] ?? ""
    })
    const body = (yield* json) as Record<string, unknown>
    const answer = yield* Effect.tryPromise({
      try: async () => {
        validateVersion(context.requestedVersion, card, "JSONRPC")
        return transport.handle(body, context)
      },
      catch: JsonRpcTransportHandler.mapToJSONRPCError
    }).pipe(Effect.catch((error) => Effect.succeed({ jsonrpc: "2.0", id: null, error })))
    if (!(Symbol.asyncIterator in answer)) return HttpServerResponse.jsonUnsafe(answer)
    const events = Stream.fromAsyncIterable(answer, String).pipe(Stream.map(formatSSEEvent), Stream.encodeText)
    return HttpServerResponse.stream(events, { headers: SSE_HEADERS })
  })
  const routes = Layer.mergeAll(
    HttpRouter.add("GET", `/${AGENT_CARD_PATH}`, HttpServerResponse.jsonUnsafe(AgentCard.toJSON(card))),
    HttpRouter.add("POST", "/a2a", endpoint)
  )
  return HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provide(Pilot.httpServer({ port: PORT, allow }))
  )
}
