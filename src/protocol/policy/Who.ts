/**
 * Whom a rule speaks of. A peer is its key (security rule 1): names are those that this node has pinned to the key, tags
 * those that the policy itself gives, the network the one of the trust list. None of it is anything that a peer claims.
 */
import { Result } from "effect"
import * as Fingerprint from "../trust/Fingerprint.ts"

/** A peer at the moment of a decision. */
export interface Subject {
  /** As people compare it; empty for a stranger, whose key counts for nothing here. */
  readonly fingerprint: string
  /** Of the keys that its own chain has led from (security rule 9): a rule about one of them is about the peer still. */
  readonly formerFingerprints?: ReadonlyArray<string>
  readonly isTrusted: boolean
  /** Lower-case names whose pinned key is this one. */
  readonly names: ReadonlyArray<string>
  /** The network of the trust list; 0 for none. */
  readonly network: number
}

/** One entry of `who` or `except`. */
export type Who =
  | { readonly _tag: "Anyone" | "Trusted" }
  | { readonly _tag: "Key"; readonly fingerprint: string }
  | { readonly _tag: "Name"; readonly name: string }
  | { readonly _tag: "Tag"; readonly tag: string }
  | { readonly _tag: "Network"; readonly network: number }

/** Members of each tag. */
export type Tags = ReadonlyMap<string, ReadonlyArray<Who>>

/** One entry, or what is wrong with it. */
export const parse = (text: string): Result.Result<Who, string> => {
  if (text === "anyone") return Result.succeed({ _tag: "Anyone" })
  if (text === "trusted") return Result.succeed({ _tag: "Trusted" })
  const colon = text.indexOf(":")
  const value = text.slice(colon + 1)
  switch (text.slice(0, Math.max(0, colon))) {
    case "key": {
      const fingerprint = Fingerprint.parse(value)
      return fingerprint === undefined
        ? Result.fail(`${JSON.stringify(value)} is no fingerprint; pilotctl trust shows them`)
        : Result.succeed({ _tag: "Key", fingerprint })
    }
    case "name":
      return NAME.test(value)
        ? Result.succeed({ _tag: "Name", name: value.toLowerCase() })
        : Result.fail(`${JSON.stringify(value)} is no name`)
    case "tag":
      return TAG.test(value)
        ? Result.succeed({ _tag: "Tag", tag: value })
        : Result.fail(`${JSON.stringify(value)} is no tag`)
    case "network":
      return /^\d{1,5}$/.test(value) && Number(value) <= NETWORK_MAX
        ? Result.succeed({ _tag: "Network", network: Number(value) })
        : Result.fail(`${JSON.stringify(value)} is no network: 0 to ${NETWORK_MAX}`)
    default:
      return Result.fail(
        `${JSON.stringify(text)} names nobody: anyone, trusted, key:FINGERPRINT, name:NAME, tag:TAG or network:NUMBER`
      )
  }
}

/** Whether the peer is meant. Everything but `anyone` means trusted peers only (security rules 2 and 3). */
export const matches = (self: Who, subject: Subject, tags: Tags): boolean => {
  if (self._tag === "Anyone") return true
  if (!subject.isTrusted) return false
  switch (self._tag) {
    case "Trusted":
      return true
    case "Key":
      return self.fingerprint === subject.fingerprint || subject.formerFingerprints?.includes(self.fingerprint) === true
    case "Name":
      return subject.names.includes(self.name)
    case "Tag":
      return tags.get(self.tag)?.some((member) => member._tag !== "Tag" && matches(member, subject, tags)) === true
    case "Network":
      return self.network === subject.network
  }
}

const NAME = /^[^\s:]{1,255}$/
/** How a tag may be spelled. */
export const TAG: RegExp = /^[A-Za-z0-9._-]{1,64}$/
const NETWORK_MAX = 0xffff
