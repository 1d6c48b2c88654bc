/** One call before a person (mcp §6.10): what is asked, and what its client reads when the answer is no. */
import { Effect } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as JsonScanner from "../../../protocol/relay/JsonScanner.ts"
import * as RawJson from "../../../protocol/relay/RawJson.ts"
import type * as CallLedger from "../CallLedger.ts"
import type * as Approvals from "./Approvals.ts"
import type { CallGate } from "./CallGate.ts"

/** The part of a question that the session knows. */
export type Asked = Pick<Approvals.Question, "tool" | "parameters" | "definitionHash" | "waitMs">

/** Asks; the rest of the question is whose call it is. */
export type Approve = (asked: Asked) => Effect.Effect<Approvals.Answer>

/** How it ended. */
export type Outcome =
  | { readonly _tag: "Approved"; readonly approval: CallLedger.Approval }
  | { readonly _tag: "Refused"; readonly refusal: Omit<CallLedger.Refusal, "outcome">; readonly text: string }

/** Waits for the answer. Whatever a person could not see whole is not approved. */
export const ask = (
  approve: Approve | undefined,
  gate: CallGate,
  message: Uint8Array,
  { target = "" }: CallLedger.Request
): Effect.Effect<Outcome> => {
  if (approve === undefined) return Effect.succeed(unasked(NOBODY))
  const parameters = parametersOf(message)
  if (parameters === undefined) return Effect.succeed(unasked(UNCLEAR))
  if (Bytes.fromUtf8(parameters).length > PARAMETERS_BYTES_MAX) return Effect.succeed(unasked(TOO_LONG))
  const definitionHash = gate.definitions?.hashOf(target)
  const asked = { tool: target, parameters, definitionHash, waitMs: gate.askMs }
  return Effect.map(approve(asked), (answer): Outcome => {
    switch (answer._tag) {
      case "Unasked":
        return unasked(TOO_MANY)
      case "Allowed":
        return { _tag: "Approved", approval: { decision: answer.decision, id: answer.id, definitionHash } }
      case "Refused": {
        const { decision, id } = answer
        return { _tag: "Refused", refusal: { decision, approval: id, definitionHash }, text: TEXTS[decision] }
      }
    }
  })
}

/** What else than `name` and `_meta` the call holds, as it stands there; undefined if a member occurs twice. */
const parametersOf = (message: Uint8Array): string | undefined => {
  const params = RawJson.only(message, { start: 0, end: message.length }, "params")
  const root = params === undefined || params === RawJson.TWICE ? undefined : JsonScanner.read(message, params)
  if (root?._tag !== "Object") return undefined
  const shown = root.members.filter(({ key }) => key !== "name" && key !== "_meta")
  if (new Set(shown.map(({ key }) => key)).size < shown.length) return undefined
  const [only, second] = shown
  if (only === undefined) return "{}"
  if (only.key === "arguments" && second === undefined) return JsonScanner.text(message, only)
  return `{${shown.map((member) => `${JSON.stringify(member.key)}:${JsonScanner.text(message, member)}`).join(",")}}`
}

const unasked = (text: string): Outcome => ({ _tag: "Refused", refusal: { decision: "unasked" }, text })

const TEXTS: Readonly<Record<"refused" | "never" | "expired", string>> = {
  refused: "The owner of this service was asked, and did not allow this call.",
  never: "The owner of this service does not allow calls of this tool.",
  expired: "The owner of this service has to allow this call, and did not answer in time. Nothing was done."
}
const NOBODY = "The owner of this service has to allow this call, and cannot be asked."
const UNCLEAR = "The owner of this service has to allow this call, and two readers could see two calls in it."
const TOO_LONG = "The owner of this service has to allow this call, and it is too long to be shown. Make it shorter."
const TOO_MANY = "The owner of this service has to allow this call, and too many others wait already. Try again later."
/** A person reads what is asked. */
const PARAMETERS_BYTES_MAX = 65_536
