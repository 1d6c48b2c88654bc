/**
 * What the tools of one session's server are, by the hash that pins know them by too (mcp §6.9), as the server lists them.
 * Approvals that are remembered hold for one definition only.
 *
 * Mutable, with one owner.
 */
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as ToolPin from "../../../protocol/mcp/ToolPin.ts"
import type * as AuditChain from "../../../protocol/relay/AuditChain.ts"
import * as ToolFilter from "../../../protocol/relay/ToolFilter.ts"

/** The tools of one server, as far as it has listed them. */
export class ToolDefinitions {
  readonly #sha256: AuditChain.Sha256
  readonly #hashes = new Map<string, string>()

  constructor(sha256: AuditChain.Sha256) {
    this.#sha256 = sha256
  }

  /** Notes the tools of a list; other messages change nothing. */
  listed(message: Uint8Array): void {
    for (const { end, name, start } of ToolFilter.listed(message)) {
      if (name === undefined) continue
      this.#hashes.delete(name)
      if (this.#hashes.size >= TOOLS_MAX || end - start > DEFINITION_BYTES_MAX) continue
      const tool = Json.parseObject(DECODER.decode(message.subarray(start, end)))
      const pinned = tool === undefined ? undefined : ToolPin.of(tool)
      if (pinned === undefined) continue
      this.#hashes.set(name, Bytes.toHex(this.#sha256(Bytes.fromUtf8(pinned.canonical))))
    }
  }

  /** Hex; undefined if the server has not listed that tool since it said last that its list changed. */
  hashOf(tool: string): string | undefined {
    return this.#hashes.get(tool)
  }

  /** The server, or its list, is another one. */
  forget(): void {
    this.#hashes.clear()
  }
}

/** Tools of one server (mcp §8, rule 6). */
const TOOLS_MAX = 1000
/** Larger definitions are those of no tool that can be approved for good. */
const DEFINITION_BYTES_MAX = 262_144
const DECODER = new TextDecoder()
