/**
 * A changed key as text, and back: the Error frame carries only text, and a person must see both fingerprints to decide
 * (security rule 1).
 */
import { KeyChanged, NameMoved } from "../trust/PeerKeys.ts"

/** The text after a command's own prefix. */
export const format = (self: KeyChanged | NameMoved): string =>
  self._tag === "NameMoved"
    ? `name moved: ${JSON.stringify(self.name)} was ${self.pinnedFingerprint}, is ${self.offeredFingerprint}`
    : `key changed: node ${self.node} was ${self.pinnedFingerprint}, is ${self.offeredFingerprint}`

/** What an error text of a daemon says about keys, wherever in the text; `undefined` if nothing. */
export const parse = (text: string): KeyChanged | NameMoved | undefined => {
  const moved = MOVED.exec(text)
  if (moved !== null)
    return new NameMoved({ name: moved[1]!, pinnedFingerprint: moved[2]!, offeredFingerprint: moved[3]! })
  const changed = CHANGED.exec(text)
  return changed === null
    ? undefined
    : new KeyChanged({ node: Number(changed[1]), pinnedFingerprint: changed[2]!, offeredFingerprint: changed[3]! })
}

const MOVED = /name moved: "([^"]*)" was ([0-9A-Z-]+), is ([0-9A-Z-]+)/
/** The second wording is that of trust decisions. */
const CHANGED = /node (\d+) (?:was|is known by the key) ([0-9A-Z-]+), (?:is|now shows) ([0-9A-Z-]+)/
