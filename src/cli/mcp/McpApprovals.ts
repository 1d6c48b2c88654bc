/** `pilotctl mcp approvals`: the calls that wait until this node's owner allows them, and what was decided for good (mcp §6.10). */
import { Clock, Effect } from "effect"
import type * as KeeperControl from "../../actors/mcp/KeeperControl.ts"
import type { Remembered } from "../../actors/mcp/keeper/ApprovalFile.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { type Environment, type Output, output } from "../Command.ts"
import * as KeeperClient from "./KeeperClient.ts"

/** All of them, without the parameters of calls. */
export const list: Effect.Effect<Output, CliError.CliError, Environment> = Effect.gen(function* () {
  const { remembered, waiting } = yield* ask({ op: "approvals" })
  const nowMs = yield* Clock.currentTimeMillis
  const lines = [...waiting.map((question) => questionLine(question, nowMs)), ...remembered.map(rememberedLine)]
  return output(
    { waiting: waiting.map(questionRow), remembered: remembered.map(rememberedRow) },
    lines.join("\n") || "nothing waits to be approved, and nothing is remembered"
  )
})

/** One call with everything that its server would get. */
export const show = Effect.fnUntraced(function* (id: string): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const { waiting } = yield* ask({ op: "approvals", id })
  const question = waiting.find((candidate) => candidate.id === id)
  if (question === undefined) return yield* CliError.make("not_found", `There is no question ${id}`, HINT)
  const nowMs = yield* Clock.currentTimeMillis
  return output(questionRow(question), details(question, nowMs))
})

/** Answers a question, for this call or for all like it. */
export const decide = Effect.fnUntraced(function* (
  id: string,
  verdict: "allow" | "deny" | "always" | "never"
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const isAllowed = verdict === "allow" || verdict === "always"
  const isForGood = verdict === "always" || verdict === "never"
  yield* ask({ op: "decide", id, verdict })
  const what = isAllowed ? "allowed" : "denied"
  const text = isForGood
    ? `${what}, and so are all calls like it; undo with: pilotctl mcp approvals revoke ${id}`
    : what
  return output({ id, verdict }, text)
})

/** Forgets what was decided for good. */
export const revoke = Effect.fnUntraced(function* (
  id: string
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  yield* ask({ op: "revoke", id })
  return output({ id }, "forgotten: the next call like it is asked about")
})

/** The keeper's answer; without a keeper nothing waits, but what is kept can be seen once it runs. */
const ask = Effect.fnUntraced(function* (
  request: KeeperControl.Request
): Effect.fn.Return<KeeperControl.Approvals, CliError.CliError, Environment> {
  const running = yield* KeeperClient.status
  if (running === undefined && request.op === "approvals" && request.id === undefined) return NOTHING
  if (running === undefined) return yield* CliError.make("not_found", "no keeper is running", HINT)
  return (yield* KeeperClient.ask(request)).approvals ?? NOTHING
})

const questionRow = (question: KeeperControl.Question): JsonObject => ({
  id: question.id,
  service: question.service,
  node_id: question.node,
  address: Address.format(Address.make(0, question.node)),
  peer: question.peer,
  fingerprint: question.fingerprint,
  tool: question.tool,
  ...(question.parameters === undefined ? {} : { parameters: question.parameters }),
  parameters_bytes: question.parametersBytes,
  definition_sha256: question.definitionHash ?? null,
  asked_at: new Date(question.askedAtMs).toISOString(),
  expires_at: new Date(question.expiresAtMs).toISOString()
})

const rememberedRow = (item: Remembered): JsonObject => ({
  id: item.id,
  verdict: item.verdict,
  service: item.service,
  server: item.server,
  peer: item.peer,
  public_key: item.peerKey,
  tool: item.tool,
  definition_sha256: item.definitionHash,
  created_at: item.createdAtSeconds
})

const questionLine = (question: KeeperControl.Question, nowMs: number): string => {
  const { id, parametersBytes, peer, service, tool } = question
  return `${id}  waits  ${service}  ${PlainText.escaped(tool)}  by ${PlainText.line(peer)}  ${parametersBytes} bytes  ${leftText(question, nowMs)}`
}

const rememberedLine = ({ definitionHash, id, peer, service, tool, verdict }: Remembered): string =>
  `${id}  ${verdict === "allow" ? "always" : "never"}  ${service}  ${PlainText.escaped(tool)}  by ${PlainText.line(peer)}  ${definitionHash.slice(0, 16)}`

/** Everything a person needs to decide; what the peer sent in one line, so that it cannot pass for one of ours. */
const details = (question: KeeperControl.Question, nowMs: number): string => {
  const { definitionHash, fingerprint, id, node, parameters = "", peer, service, tool } = question
  return [
    `${id}  ${leftText(question, nowMs)}`,
    `  peer        ${PlainText.line(peer)} (${Address.format(Address.make(0, node))})`,
    `  key         ${fingerprint === "" ? "not known now" : fingerprint}`,
    `  service     ${service}`,
    `  tool        ${PlainText.escaped(tool)}`,
    `  definition  ${definitionHash ?? "not listed by the server"}`,
    `  arguments   ${PlainText.escaped(parameters)}`,
    `allow it with: pilotctl mcp approvals allow ${id}`
  ].join("\n")
}

const leftText = ({ expiresAtMs }: KeeperControl.Question, nowMs: number): string =>
  `denied by itself in ${Math.max(0, Math.ceil((expiresAtMs - nowMs) / 1000))} s`

const NOTHING: KeeperControl.Approvals = { waiting: [], remembered: [] }
const HINT = "pilotctl mcp approvals"
