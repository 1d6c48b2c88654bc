/** What a client is told when its calls cannot reach the server: which part failed, and what a person can do about it. */
import { Schema } from "effect"
import type { BridgeError } from "../../../protocol/relay/BridgeError.ts"
import type { Bye } from "../../../protocol/relay/RelayControl.ts"
import type { DialError } from "../../node/Node.ts"
import type { Target } from "../Target.ts"

/** The peer was not reached. `isFinal`: trying again without somebody doing something is useless. */
export class CannotReach extends Schema.TaggedError<CannotReach>()("CannotReach", {
  kind: Schema.Literals(["unreachable", "denied"]),
  /** What is the matter and what to do, in whole sentences. */
  detail: Schema.String,
  isFinal: Schema.Boolean
}) {}

/** A failure before it is known whether a call was delivered. */
export type Failure = Pick<BridgeError, "kind" | "message" | "retryable">

/** What the peer, or the way to it, said to a dial from the node called `self`; with what a person can do about it. */
export const ofDialled = (target: Target, self: string, error: DialError): CannotReach => {
  const { peer, service } = target
  const failed = (kind: CannotReach["kind"], detail: string, isFinal = false) =>
    new CannotReach({ kind, detail, isFinal })
  switch (error.reason) {
    case "Untrusted":
      return failed("denied", `${peer} does not trust this node: run there: pilotctl trust add ${self}`, true)
    case "KeyChanged":
    case "NameMoved":
      return failed("denied", sentence(`another key stands behind ${peer} than before (${error.detail})`), true)
    case "Refused":
      return failed(
        "unreachable",
        `${peer} exposes no MCP services now: run there: pilotctl mcp expose ${service} --allow ${self} -- COMMAND`
      )
    case "Timeout":
    case "NoPath":
      // A stranger is not answered at all, so silence has two causes (security rule 3).
      return failed(
        "unreachable",
        `${peer} does not answer. Either its daemon is not running, or it does not trust this node; ` +
          `run there: pilotctl trust add ${self}`
      )
    default:
      return failed("unreachable", sentence(`${peer} cannot be reached: ${error.detail}`))
  }
}

/** With a capital letter and a full stop. */
export const sentence = (text: string): string =>
  `${text.slice(0, 1).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`

/** A dial that failed. */
export const ofDial = (error: CannotReach): Failure => ({
  kind: error.kind,
  message: error.detail,
  retryable: !error.isFinal
})

/** A keeper that said BYE. */
export const ofBye = (target: Target, { reason }: Bye): Failure => {
  const { peer, service } = target
  switch (reason) {
    case "denied":
      return {
        kind: "denied",
        message:
          `${peer} offers no service ${service} to this node. Ask its owner for the name, ` +
          `or to run there: pilotctl mcp expose ${service} --allow <this node> -- COMMAND`,
        retryable: false
      }
    case "overloaded":
      return {
        kind: "overloaded",
        message: `${peer} has too many sessions of ${service} open. Close some, or try again later.`,
        retryable: true
      }
    case "version":
      return {
        kind: "unreachable",
        message: `${peer} speaks another version of the relay. Update the older of the two programs.`,
        retryable: false
      }
    default:
      return { kind: "unreachable", message: `${peer} ended the session of ${service} (${reason}).`, retryable: true }
  }
}

/** The keeper that had the session is not the one that has it now: restarted, or left for the reason given. */
export const ofForgotten = ({ peer }: Target, movedBecause: string | undefined): Failure => ({
  kind: "unreachable",
  message: movedBecause ?? `${peer} was restarted.`,
  retryable: true
})

/** The error for one call. Only a call that certainly did not arrive is told the failure itself. */
export const errorOf = (target: Target, failure: Failure, wasSent: boolean, isHarmless: boolean): BridgeError => {
  if (!wasSent) return { ...failure, ...target, delivered: false }
  const advice = isHarmless ? "Trying again is safe." : "Find out whether it was carried out before trying again."
  return {
    ...target,
    kind: "outcomeUnknown",
    message: `The connection to ${target.service} on ${target.peer} was lost during this request. ${failure.message} ${advice}`,
    retryable: isHarmless,
    delivered: true
  }
}
