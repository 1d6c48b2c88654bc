/**
 * Which requests may run twice (mcp §6.3): those that change nothing by their definition, and calls of the tools that the
 * owner of the service declares safe. A server's own hints are claims, and count only if the owner says so.
 *
 * Mutable inside the session that owns it.
 */
import * as Json from "../../core/data/Json.ts"
import * as BridgeError from "./BridgeError.ts"
import * as CallArguments from "./CallArguments.ts"
import * as ToolFilter from "./ToolFilter.ts"
import * as ToolPattern from "./ToolPattern.ts"

/** What an owner declares. */
export interface Declared {
  /** Patterns of `ToolPattern`; a tool is safe if one without `!` meets it and none with `!` does. */
  readonly safe?: ReadonlyArray<string>
  /** Tools that their server calls read-only or idempotent are safe as well. */
  readonly trustHints?: boolean
}

/** That part of the rules of a service. */
export const declaredIn = ({ safe, trustHints }: Declared): Declared => ({
  ...(safe === undefined ? {} : { safe }),
  ...(trustHints === undefined ? {} : { trustHints })
})

/** What is safe in one session. */
export class SafeCalls {
  #patterns: ReadonlyArray<ToolPattern.ToolPattern> = []
  #trustsHints = false
  readonly #hinted = new Set<string>()

  /** What the owner declares from now on. */
  configure({ safe = [], trustHints = false }: Declared): void {
    const patterns = safe.map(ToolPattern.parse)
    // A pattern that cannot be read might have been a denial.
    this.#patterns = patterns.every((pattern) => pattern !== undefined) ? patterns : []
    this.#trustsHints = trustHints
  }

  /** Whether any tool can be safe at all, so that a call need not be kept if none can. */
  get hasTools(): boolean {
    return this.#trustsHints || this.#patterns.length > 0
  }

  /** Notes what the tools of a list claim, if that counts; other messages change nothing. */
  listed(message: Uint8Array): void {
    if (!this.#trustsHints) return
    for (const { end, name, start } of ToolFilter.listed(message)) {
      if (name === undefined) continue
      this.#hinted.delete(name)
      if (this.#hinted.size >= HINTED_MAX) continue
      const tool = Json.parseObject(DECODER.decode(message.subarray(start, end)))
      const hints = tool === undefined ? undefined : Json.member(tool, "annotations")
      if (Json.isObject(hints) && (hints["readOnlyHint"] === true || hints["idempotentHint"] === true)) {
        this.#hinted.add(name)
      }
    }
  }

  /** Whether this request may run twice. `message` holds nothing but it. */
  isSafe(message: Uint8Array, method: string, target: string | undefined): boolean {
    if (method !== "tools/call") return method !== "initialize" && BridgeError.isHarmlessTwice(method)
    if (target !== undefined && this.#trustsHints && this.#hinted.has(target)) return true
    return this.isDeclared(message, target)
  }

  /** Whether the owner itself names this call of a tool. */
  isDeclared(message: Uint8Array, target: string | undefined): boolean {
    if (target === undefined) return false
    if (!this.#patterns.some(({ isDenial }) => !isDenial)) return false
    return ToolPattern.permits(this.#patterns, target, CallArguments.reader(message, { start: 0, end: message.length }))
  }
}

/** Tools with hints that are remembered of one service (mcp §8, rule 6). */
const HINTED_MAX = 1000
const DECODER = new TextDecoder()
