/** Tags of a node (rendezvous §4.10): at most ten short labels, one leading `#` removed from each. */
import { Result } from "effect"
import * as HostnameTable from "./HostnameTable.ts"

/** The tags as stored, or the reference's text for the first rule broken. */
export const normalize = (tags: ReadonlyArray<string>): Result.Result<ReadonlyArray<string>, string> => {
  if (tags.length > TAGS_MAX) return Result.fail(`too many tags (max ${TAGS_MAX})`)
  const stripped = tags.map((tag) => (tag.startsWith("#") ? tag.slice(1) : tag))
  for (const tag of stripped) {
    if (tag === "") return Result.fail("empty tag not allowed")
    if (tag.length > TAG_LENGTH_MAX) return Result.fail(`tag "${tag}" too long (max ${TAG_LENGTH_MAX} chars)`)
    if (!HostnameTable.isLabel(tag)) return Result.fail(`tag "${tag}" must be lowercase alphanumeric with hyphens`)
  }
  return Result.succeed(stripped)
}

const TAGS_MAX = 10
const TAG_LENGTH_MAX = 32
