/** The file of a node's policy, `policy.jsonc` in the state directory. */
import { Effect, FileSystem, Result } from "effect"
import * as Policy from "../../protocol/policy/Policy.ts"
import { DOCUMENT_BYTES_MAX } from "../../protocol/policy/PolicyDocument.ts"
import * as PolicyText from "./PolicyText.ts"

/** Where it is. */
export const pathOf = (home: string): string => `${home}/policy.jsonc`

/** A policy as it was read; `text` is undefined if there is no file. */
export interface Loaded {
  readonly text: string | undefined
  readonly policy: Policy.Policy
}

/** Reads and checks it. No file is a policy too: what was exposed is allowed. */
export const load = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<Loaded, PolicyText.PolicyProblem, FileSystem.FileSystem> {
  const text = yield* read(path)
  if (text === undefined) return { text, policy: Policy.NONE }
  return { text, policy: yield* Effect.fromResult(PolicyText.parse(text)) }
})

/** The text; undefined if there is no file. */
export const read = (
  path: string
): Effect.Effect<string | undefined, PolicyText.PolicyProblem, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const { size } = yield* files.stat(path)
    if (Number(size) > DOCUMENT_BYTES_MAX)
      return yield* unreadable(`the file has more than ${DOCUMENT_BYTES_MAX} bytes`)
    return yield* files.readFileString(path)
  }).pipe(
    Effect.catchTag("PlatformError", (error) =>
      error.reason._tag === "NotFound" ? Effect.succeed(undefined) : unreadable(error.message)
    )
  )

const unreadable = (detail: string) => Effect.fail(new PolicyText.PolicyProblem({ line: 1, column: 1, detail }))

/** What a text means, for whoever asks about one that is not in force. */
export const parse = (text: string): Result.Result<Loaded, PolicyText.PolicyProblem> =>
  Result.map(PolicyText.parse(text), (policy) => ({ text, policy }))
