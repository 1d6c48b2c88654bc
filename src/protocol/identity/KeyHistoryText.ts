/** A history as JSON, for the reader's own disk: `{"anchor": …, "learnt": [{"statement": …, "at": …}], "refused": […]}`, bytes in base64. */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as KeyHistory from "./KeyHistory.ts"
import * as KeyStatement from "./KeyStatement.ts"

/** The JSON object. */
export const encode = (self: KeyHistory.KeyHistory): Json.JsonObject => ({
  anchor: Bytes.toBase64(self.anchor),
  learnt: self.learnt.map(({ atSeconds, statement }) => ({
    statement: Bytes.toBase64(KeyStatement.encode(statement)),
    at: atSeconds
  })),
  refused: [...self.refused]
})

/** Reads it; `undefined` when any part is not as written. What was genuine when it was learnt is not checked again. */
export const decode = (object: Json.JsonObject): KeyHistory.KeyHistory | undefined => {
  const anchor = Bytes.fromBase64(Json.string(object, "anchor"))
  const rows = Json.objects(object, "learnt")
  const refused = Json.strings(object, "refused")
  const isWhole =
    rows.length === Json.list(object, "learnt").length &&
    rows.length <= KeyHistory.LEARNT_MAX &&
    refused.every((text) => KEY_HEX.test(text))
  if (anchor?.length !== KEY_BYTES || !isWhole) return undefined
  const learnt: Array<KeyHistory.Learnt> = []
  for (const row of rows) {
    const bytes = Bytes.fromBase64(Json.string(row, "statement"))
    const statement = bytes === undefined ? undefined : KeyStatement.decode(bytes)
    const at = Json.member(row, "at")
    if (statement === undefined || Result.isFailure(statement) || typeof at !== "number" || !(at >= 0)) return undefined
    learnt.push({ statement: statement.success, atSeconds: at })
  }
  return { anchor, learnt, refused: new Set(refused) }
}

const KEY_BYTES = 32
const KEY_HEX = /^[0-9a-f]{64}$/
