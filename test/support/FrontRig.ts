/** A front over servers in memory, and clients in the hands of a test. No node, no relay: what is between is tested elsewhere. */
import { Effect, PubSub, Queue, type Scope, Stream } from "effect"
import type * as FrontLists from "../../src/actors/mcp/front/FrontLists.ts"
import type { KnownService } from "../../src/actors/mcp/front/FrontRoster.ts"
import * as FrontSession from "../../src/actors/mcp/front/FrontSession.ts"
import { Crypto } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as DuplexPair from "../../src/core/net/DuplexPair.ts"
import * as ScriptedServer from "./ScriptedServer.ts"

/** A message as a value. */
export type Message = Record<string, Json.Json | undefined>

/** One life of a server at a service. */
export interface Life {
  readonly alias: string
  readonly said: Array<Message>
  readonly write: (message: Message) => Effect.Effect<void>
  readonly end: Effect.Effect<void>
}

/** What a server answers; undefined for nothing. */
export type Behaviour = (message: Message, life: Life) => Effect.Effect<Message | undefined>

/** A client. */
export interface Client {
  readonly write: (message: Message) => Effect.Effect<void>
  /** A line as it is. */
  readonly say: (line: string) => Effect.Effect<void>
  /** The next message that is not the answer to an `ask`. */
  readonly next: Effect.Effect<Message>
  /** Those that are there. */
  readonly heard: Effect.Effect<ReadonlyArray<Message>>
  /** The answer to a request. */
  readonly ask: (method: string, params?: Json.JsonObject) => Effect.Effect<Message>
  readonly end: Effect.Effect<void>
}

/** A front and its services. */
export interface FrontRig {
  readonly client: (options?: {
    readonly mode?: FrontLists.Mode
    readonly budget?: FrontLists.Budget
    readonly sampling?: boolean
    /** Several modern clients use it. */
    readonly isShared?: boolean
  }) => Effect.Effect<Client, never, Scope.Scope>
  /** What there is from now on. */
  readonly set: (services: ReadonlyArray<KnownService>) => Effect.Effect<void>
  readonly lives: ReadonlyArray<Life>
}

/** A service of the peer `host` that is up. */
export const service = (name: string, isUp = true, peer = "host"): KnownService => ({
  alias: `${peer}_${name}`,
  target: { peer, service: name },
  title: "",
  isUp
})

/** A front whose services behave as `behaviours` say, by alias. */
export const make = Effect.fnUntraced(function* (
  first: ReadonlyArray<KnownService>,
  behaviours: Readonly<Record<string, Behaviour>>
): Effect.fn.Return<FrontRig, never, Scope.Scope> {
  const crypto = yield* Effect.provide(Crypto, NativeCrypto.layer)
  const changes = yield* PubSub.unbounded<void>()
  const lives: Array<Life> = []
  let services = first
  let handles = 0

  const connect = Effect.fnUntraced(function* ({
    peer,
    service: name
  }: {
    readonly peer: string
    readonly service: string
  }) {
    const alias = `${peer}_${name}`
    const [near, far] = yield* DuplexPair.make
    const life: Life = {
      alias,
      said: [],
      write: (message) => far.write(Bytes.fromUtf8(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)),
      end: far.end
    }
    lives.push(life)
    const line = ScriptedServer.lines(far)
    const serve = Effect.gen(function* () {
      const message = Json.parseObject(yield* line) ?? {}
      life.said.push(message)
      const answer = yield* behaviours[alias]?.(message, life) ?? Effect.succeed(undefined)
      if (answer !== undefined) yield* life.write({ id: message["id"], ...answer })
    })
    yield* Effect.forkScoped(Effect.ignore(Effect.forever(serve)))
    return near
  })

  const client: FrontRig["client"] = Effect.fnUntraced(function* (options = {}) {
    const [near, far] = yield* DuplexPair.make
    yield* Effect.forkScoped(
      FrontSession.run({
        client: far,
        roster: { services: () => services, changes: Stream.fromPubSub(changes), ready: Effect.void },
        connect,
        hash: (text) => Bytes.toHex(crypto.sha256(Bytes.fromUtf8(text))),
        random: () => `handle${++handles}`,
        version: "1",
        mode: options.mode ?? "all",
        budget: options.budget ?? { tools: 40, bytes: 40_000 },
        patience: "5 seconds",
        isShared: options.isShared === true,
        maySample: () => options.sampling === true
      })
    )
    const line = ScriptedServer.lines(near)
    const heard = yield* Queue.unbounded<Message>()
    const answers = yield* Queue.unbounded<Message>()
    const read = Effect.flatMap(line, (text) => {
      const message = Json.parseObject(text) ?? {}
      return Queue.offer("method" in message || !String(message["id"]).startsWith("ask") ? heard : answers, message)
    })
    yield* Effect.forkScoped(Effect.ignore(Effect.forever(read)))
    const say = (line: string) => near.write(Bytes.fromUtf8(`${line}\n`))
    const write = (message: Message) => say(JSON.stringify({ jsonrpc: "2.0", ...message }))
    let asked = 0
    return {
      write,
      say,
      next: Queue.take(heard),
      heard: Queue.clear(heard),
      ask: (method, params = {}) => Effect.andThen(write({ id: `ask${++asked}`, method, params }), Queue.take(answers)),
      end: near.end
    }
  })

  return {
    client,
    lives,
    set: (next) =>
      Effect.suspend(() => {
        services = next
        return Effect.asVoid(PubSub.publish(changes, undefined))
      })
  }
})

/** A legacy server with these lists, that answers calls with its own name and what it was asked. */
export const legacy =
  (
    lists: Readonly<Record<string, ReadonlyArray<Json.JsonObject>>>,
    more: Behaviour = () => Effect.succeed(undefined)
  ): Behaviour =>
  (message, life) => {
    const params = message["params"] as Message | undefined
    const kind = {
      "tools/list": "tools",
      "prompts/list": "prompts",
      "resources/list": "resources",
      "resources/templates/list": "resourceTemplates"
    }[String(message["method"])]
    if (message["method"] === "initialize") {
      const capabilities = Object.fromEntries(
        [...Object.keys(lists).map((key) => (key === "resourceTemplates" ? "resources" : key)), "logging"].map(
          (key) => [key, { listChanged: true }]
        )
      )
      return Effect.succeed({
        result: {
          protocolVersion: String(params?.["protocolVersion"]),
          capabilities,
          serverInfo: { name: "evil__name", version: "1" }
        }
      })
    }
    if (message["method"] === "server/discover") return Effect.succeed({ error: { code: -32601, message: "no" } })
    if (kind !== undefined) return Effect.succeed({ result: { [kind]: lists[kind] ?? [] } })
    return Effect.flatMap(more(message, life), (answer) =>
      Effect.succeed(
        answer ??
          (message["id"] === undefined || message["method"] === undefined
            ? undefined
            : {
                result: {
                  content: [{ type: "text", text: `${life.alias} ${message["method"]} ${JSON.stringify(params)}` }]
                }
              })
      )
    )
  }

/** A tool with one text argument. */
export const tool = (name: string, more: Json.JsonObject = {}): Json.JsonObject => ({
  name,
  description: `Does ${name}`,
  inputSchema: { type: "object", properties: { text: { type: "string" } } },
  ...more
})

/** The names in a list that was answered. */
export const names = (message: Message, kind = "tools", member = "name"): ReadonlyArray<string> =>
  Json.objects((message["result"] ?? {}) as Json.JsonObject, kind).map((item) => Json.string(item, member))
