/** A service that was found, as people and programs are told of it: who has it, what fits, and how to use or ask for it. */
import * as Address from "../wire/Address.ts"
import type { CapabilityCard, CardParameter } from "./CapabilityCard.ts"
import type { Match } from "./CapabilitySearch.ts"

/** A card that holds, and how it came here. */
export interface Candidate {
  readonly card: CapabilityCard
  readonly isTrusted: boolean
  /** It came from the peer itself, which lets this node use the service. */
  readonly isDirect: boolean
  /** The name that the registry has for the node; empty when it was not asked or has none. */
  readonly hostname: string
}

/** A tool that fits. What it says of itself is its server's claim. */
export interface FoundTool {
  readonly name: string
  readonly description: string
  readonly parameters: ReadonlyArray<CardParameter>
  /** SHA-256 of its input schema. */
  readonly schema: string
  readonly score: number
}

/** A service that fits. */
export interface FoundService {
  readonly peer: {
    readonly node: number
    readonly address: string
    readonly hostname: string
    /** Of the key that signed the card. */
    readonly fingerprint: string
    readonly isTrusted: boolean
  }
  readonly service: string
  /** As `mcp mount` and `Mcp.connect` take it. */
  readonly target: string
  /** The peer itself said that this node may use it. */
  readonly isUsable: boolean
  /** A command that uses it, or asks for it. */
  readonly next: string
  readonly title: string
  readonly description: string
  readonly version: string
  /** The name of `server.json`. */
  readonly name: string
  readonly eras: ReadonlyArray<string>
  /** Between 0 and 1; compares within one search. */
  readonly score: number
  readonly tools: ReadonlyArray<FoundTool>
  /** Tools of the service, those that do not fit included. */
  readonly toolsCount: number
  /** SHA-256 of the definitions of all of them: the same where the tools are. */
  readonly definitions: string
}

/** A match as it is told; `fingerprint` is that of its card's key. */
export const of = ({ from, score, tools }: Match<Candidate>, fingerprint: string): FoundService => {
  const { card, hostname, isDirect, isTrusted } = from
  const address = Address.format(Address.make(0, card.node))
  const peer = hostname === "" ? address : hostname
  const target = `${peer}/${card.service}`
  const ask = isTrusted
    ? `its owner runs: pilotctl mcp expose ${card.service} --allow <this node>`
    : `pilotctl trust add ${peer} "may I use ${card.service}?"`
  return {
    peer: { node: card.node, address, hostname, fingerprint, isTrusted },
    service: card.service,
    target,
    // A public service takes every peer that is trusted, and its card says that it is public.
    isUsable: isDirect || (isTrusted && card.isPublic),
    next: isDirect || (isTrusted && card.isPublic) ? `pilotctl mcp mount ${target}` : ask,
    title: card.title,
    description: card.description,
    version: card.version,
    name: card.name,
    eras: card.eras,
    score,
    tools: tools.map(({ score: fit, tool }) => ({ ...tool, score: fit })),
    toolsCount: card.toolsCount,
    definitions: card.hash
  }
}

/**
 * The best that this node may use, and after it those of other peers that have the same name and the same tools: instances of
 * one service, of which any will do. Empty if none may be used.
 */
export const instances = (found: ReadonlyArray<FoundService>): ReadonlyArray<FoundService> => {
  const usable = found.filter(({ isUsable }) => isUsable)
  const [best] = usable
  return usable.filter(({ definitions, service }) => service === best?.service && definitions === best.definitions)
}
