/** The same request once more, with what its client answered and what the server wants back (mcp §1.5). */
import * as JsonEdit from "../JsonEdit.ts"
import * as JsonSplice from "../JsonSplice.ts"

/** `id`, the answers and `state` are JSON text; the state is what the server gave, untouched. */
export const of = (
  request: Uint8Array,
  id: string,
  answers: ReadonlyArray<readonly [key: string, raw: string]>,
  state: string | undefined
): Uint8Array => {
  const renamed = JsonSplice.replace(request, ["id"], id)
  const bare = JsonEdit.remove(renamed, ["params"], ["inputResponses", "requestState"])
  const inputs = answers.map(([key, raw]) => `${JSON.stringify(key)}:${raw}`)
  const values = [
    ...(inputs.length === 0 ? [] : [["inputResponses", `{${inputs.join(",")}}`] as const]),
    ...(state === undefined ? [] : [["requestState", state] as const])
  ]
  return values.length === 0 ? bare : JsonEdit.set(bare, ["params"], values)
}

/** A server that wants the same request again without saying what for is not hurried. */
export const pauseMs = (rounds: number): number => Math.min(PACE_MAX_MS, PACE_MIN_MS * 2 ** (rounds - 1))

const PACE_MIN_MS = 100
const PACE_MAX_MS = 5000
