/** What a response says of the era of its server (mcp §1.2). */
import * as Json from "../../../core/data/Json.ts"
import * as BridgeError from "../BridgeError.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import * as DiscoverText from "./DiscoverText.ts"
import { MODERN } from "./EraTranslator.ts"

/** A response of the server. */
export interface Answer {
  readonly message: Uint8Array
  readonly key: string
  readonly isError: boolean
}

/** A DiscoverResult that offers the modern revision, or a modern server's refusal of another (mcp §1.2). */
export const isModern = (answer: Answer): boolean =>
  answer.isError
    ? codeOf(answer) === -32022 && (revisionsOf(answer) ?? []).includes(MODERN)
    : DiscoverText.revisions(answer.message).includes(MODERN)

/** An answer that no legacy server gives. */
export const isSurelyModern = (answer: Answer): boolean =>
  answer.isError ? isModern(answer) : JsonRpcPeek.member(answer.message, ["result", "resultType"]) !== undefined

/** The revisions that it names; undefined if it says nothing of them. */
export const revisionsOf = ({ message }: Pick<Answer, "message">): ReadonlyArray<string> | undefined => {
  const raw = JsonRpcPeek.member(message, ["error", "data"])
  const data = raw === undefined ? undefined : Json.parseObject(raw)
  const offered = DiscoverText.revisions(message)
  return data === undefined ? (offered.length > 0 ? offered : undefined) : Json.strings(data, "supported")
}

/** An error of the relay itself says nothing about the server; but one that died of the question is a legacy one. */
export const isUnreachable = (answer: Answer): boolean =>
  isBridge(answer) && codeOf(answer) !== BridgeError.CODE.outcomeUnknown

/** An error of the bridge itself. */
export const isBridge = (answer: Answer): boolean =>
  answer.isError && codeOf(answer) <= -31_000 && codeOf(answer) >= -31_999

const codeOf = ({ message }: Answer): number => Number(JsonRpcPeek.member(message, ["error", "code"]))
