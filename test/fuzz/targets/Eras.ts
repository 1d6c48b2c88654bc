/** The era bridge between a hostile client and a hostile server, in every state that it can be in. */
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { DetachedCalls } from "../../../src/protocol/relay/DetachedCalls.ts"
import { EraDetector } from "../../../src/protocol/relay/era/EraDetector.ts"
import type { EraTranslator, Outputs } from "../../../src/protocol/relay/era/EraTranslator.ts"
import { LegacyClientBridge } from "../../../src/protocol/relay/era/LegacyClientBridge.ts"
import * as RequestState from "../../../src/protocol/relay/era/RequestState.ts"
import { type Era, Verdict } from "../../../src/protocol/relay/era/Verdict.ts"
import * as JsonEdit from "../../../src/protocol/relay/JsonEdit.ts"
import * as JsonRpcPeek from "../../../src/protocol/relay/JsonRpcPeek.ts"
import * as JsonScanner from "../../../src/protocol/relay/JsonScanner.ts"
import { ListMemory } from "../../../src/protocol/relay/ListMemory.ts"
import { ListNews } from "../../../src/protocol/relay/ListNews.ts"
import { ListPages } from "../../../src/protocol/relay/ListPages.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"

const SEAL = {
  random: () => "a1",
  sign: (text: string) => Bytes.toHex(Bytes.fromUtf8(text)).slice(-64),
  hash: () => "00"
}
const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }
}
const TASK_META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": { extensions: { "io.modelcontextprotocol/tasks": {} } }
}
const CAPABILITIES = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} }
const call = (id: unknown, more: object = {}) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name: "x", arguments: { a: 1 }, _meta: META, ...more }
})
const QUESTION = { method: "elicitation/create", params: { message: "m", mode: "url" } }

const messages = (): ReadonlyArray<Uint8Array> => [
  ...Corpus.vectorJson(({ jsonrpc }) => jsonrpc === "2.0"),
  ...Corpus.jsons(
    call(1),
    call(1, { inputResponses: { "input-1": { action: "accept" } }, requestState: "a1.600000.00" }),
    {
      jsonrpc: "2.0",
      id: 1,
      method: "subscriptions/listen",
      params: { notifications: { resourceSubscriptions: ["a:b"] }, _meta: META }
    },
    {
      jsonrpc: "2.0",
      id: 1,
      result: { resultType: "input_required", inputRequests: { a: QUESTION }, requestState: "s" }
    },
    { jsonrpc: "2.0", id: 2, error: { code: -32042, message: "m", data: { elicitations: [QUESTION.params] } } },
    { jsonrpc: "2.0", id: "q", ...QUESTION },
    { jsonrpc: "2.0", id: 3, method: "tasks/get", params: { taskId: "effect-pilot-task-h", _meta: TASK_META } },
    {
      jsonrpc: "2.0",
      id: 4,
      method: "tasks/update",
      params: { taskId: "effect-pilot-task-h", inputResponses: { "1.a": { action: "accept" } }, _meta: TASK_META }
    },
    { jsonrpc: "2.0", id: 5, method: "tasks/cancel", params: { taskId: "effect-pilot-task-h", _meta: TASK_META } },
    { jsonrpc: "2.0", id: 1, result: { action: "accept", content: {} } }
  )
]

/** What a bridge is in before the input: both directions open, with a call that waits and one that is asked. */
const PRELUDES = Corpus.jsons(
  {
    jsonrpc: "2.0",
    id: 0,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: META["io.modelcontextprotocol/clientCapabilities"] }
  },
  { jsonrpc: "2.0", id: 0, error: { code: -32022, message: "m", data: { supported: ["2026-07-28"] } } },
  {
    jsonrpc: "2.0",
    id: "dev.effect-pilot/era-probe-1",
    result: { supportedVersions: ["2026-07-28"], capabilities: CAPABILITIES }
  },
  { jsonrpc: "2.0", method: "notifications/initialized" },
  call(1)
)

const known = (era: Era): Verdict => {
  const verdict = new Verdict()
  verdict.learn(era, 0)
  return verdict
}

const legacy = (): EraDetector => {
  const detector = new EraDetector({
    peer: "p",
    service: "s",
    isShared: false,
    isModernOnly: false,
    verdict: new Verdict(),
    instant: String,
    seal: SEAL
  })
  for (const [index, message] of PRELUDES.entries()) {
    if (index === 1 || index === 2) detector.fromServer(message, 0)
    else detector.fromClient(message, 0)
  }
  return detector
}

/** A legacy client whose task at a modern server wants input, and whose result it waits for. */
const legacyTasks = (): LegacyClientBridge => {
  const [initialize, discovered, asked, created, waits, stands] = Corpus.jsons(
    { jsonrpc: "2.0", id: 0, method: "initialize", params: { capabilities: { elicitation: {} } } },
    { jsonrpc: "2.0", id: 0, result: { capabilities: TASK_META["io.modelcontextprotocol/clientCapabilities"] } },
    call(1, { task: {} }),
    { jsonrpc: "2.0", id: 1, result: { resultType: "task", taskId: "t", status: "working" } },
    { jsonrpc: "2.0", id: 2, method: "tasks/result", params: { taskId: "t" } },
    {
      jsonrpc: "2.0",
      id: "dev.effect-pilot/era-task-1",
      result: { taskId: "t", status: "input_required", inputRequests: { a: QUESTION } }
    }
  )
  const bridge = new LegacyClientBridge({
    initialize: initialize!,
    discovered: discovered!,
    name: "n",
    instant: String,
    random: () => "r"
  })
  bridge.fromClient(asked!, 0)
  bridge.fromServer(created!, 0)
  bridge.fromClient(waits!, 0)
  bridge.fromServer(stands!, 0)
  return bridge
}

const modern = (): EraDetector => {
  const detector = new EraDetector({
    peer: "p",
    service: "s",
    isShared: false,
    isModernOnly: true,
    verdict: known("legacy"),
    instant: String,
    seal: SEAL
  })
  const [first, opened, asked] = Corpus.jsons(
    call(1),
    {
      jsonrpc: "2.0",
      id: "dev.effect-pilot/era-1",
      result: { protocolVersion: "2025-11-25", capabilities: CAPABILITIES }
    },
    { jsonrpc: "2.0", id: "q", method: "elicitation/create", params: { message: "m" } }
  )
  detector.fromClient(first!, 0)
  detector.fromServer(opened!, 0)
  detector.fromServer(asked!, 0)
  return detector
}

const fresh = (): EraDetector =>
  new EraDetector({
    peer: "p",
    service: "s",
    isShared: true,
    isModernOnly: true,
    verdict: new Verdict(),
    instant: String,
    seal: SEAL
  })

/** Whatever comes of a message is a message: nothing that only looks like one is ever made of it. */
const bridged = (bytes: Uint8Array): unknown => {
  const isMessage = Result.isSuccess(JsonRpcPeek.peek(bytes))
  const detector = STATES[bytes.length % STATES.length]!()
  const outputs: Outputs = [
    ...detector.fromClient(bytes, 1),
    ...detector.fromServer(bytes, 1),
    ...detector.timeout(700_000),
    ...detector.closed()
  ]
  for (const output of outputs) {
    const isJson = JsonScanner.read(output.bytes, { start: 0, end: output.bytes.length }) !== undefined
    if (isMessage && !isJson) throw new Error(`no JSON: ${Bytes.toUtf8Lossy(output.bytes)}`)
  }
  return isMessage
}

const detached = (): DetachedCalls => {
  const calls = new DetachedCalls({ afterMs: 1, random: () => "h", instant: String })
  calls.fromClient(PRELUDES.at(-1)!, 0)
  calls.timeout(1)
  return calls
}

/** A task of a client that declares the extension, whose server asks for something. */
const tasks = (): DetachedCalls => {
  const calls = new DetachedCalls({ afterMs: 1, random: () => "h", instant: String })
  const [asked, question] = Corpus.jsons(call(1, { _meta: TASK_META }), {
    jsonrpc: "2.0",
    id: "dev.effect-pilot/call-1",
    result: { resultType: "input_required", inputRequests: { a: QUESTION }, requestState: "s" }
  })
  calls.fromClient(asked!, 0)
  calls.timeout(1)
  calls.fromServer(question!, 1)
  return calls
}

const STATES: ReadonlyArray<() => EraTranslator> = [legacy, modern, fresh, detached, tasks, legacyTasks]

/** What a server lists is kept as it came, and comes back as it was kept. */
const remembered = (bytes: Uint8Array): unknown => {
  const memory = new ListMemory({ hash: (text) => text, nowMs: () => 1, instant: String, isWhole: true })
  const known = (id: number) => Corpus.jsons({ jsonrpc: "2.0", id, method: "tools/list", params: { _meta: META } })[0]!
  const asked = JsonRpcPeek.request(known(1))
  const isMessage = Result.isSuccess(JsonRpcPeek.peek(bytes))
  if (asked === undefined || !isMessage) return false
  memory.asked(known(1), asked)
  memory.answered(bytes, "1")
  memory.notified(bytes, "notifications/subscriptions/acknowledged")
  memory.learn(memory.save())
  memory.isAway = true
  const recalled = memory.recall(known(2), { ...asked, id: "2" })
  const outputs = [...(recalled === undefined ? [] : [recalled]), ...memory.returned(true), ...memory.take().toServer]
  for (const output of outputs)
    if (Result.isFailure(JsonRpcPeek.peek(output))) throw new Error(Bytes.toUtf8Lossy(output))
  return true
}

const stated = (bytes: Uint8Array): unknown =>
  RequestState.open(SEAL, { peer: "p", service: "s", method: "m", digest: "d" }, Bytes.toUtf8Lossy(bytes), 0)

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "relay/EraDetector",
    covers: [EraDetector, DetachedCalls, JsonEdit.set, JsonEdit.remove],
    format: "json",
    samples: messages,
    decode: bridged
  }),
  Fuzzer.decoder({
    name: "relay/ListMemory",
    covers: [ListMemory, ListPages, ListNews],
    format: "json",
    samples: () =>
      Corpus.jsons(
        { jsonrpc: "2.0", id: 1, result: { tools: [{ name: "a", n: 1 }], nextCursor: "n", ttlMs: 5, _meta: {} } },
        { jsonrpc: "2.0", id: 1, result: { tools: [] } },
        { jsonrpc: "2.0", id: 1, error: { code: -32601, message: "m" } },
        {
          jsonrpc: "2.0",
          method: "notifications/subscriptions/acknowledged",
          params: { _meta: { "io.modelcontextprotocol/subscriptionId": 1 } }
        }
      ),
    decode: remembered
  }),
  Fuzzer.decoder({
    name: "relay/RequestState",
    covers: [RequestState.open],
    samples: () => [
      Bytes.fromUtf8(RequestState.write(SEAL, { peer: "p", service: "s", method: "m", digest: "d" }, "a1", 600_000))
    ],
    decode: stated
  })
]
