/**
 * Who calls, as headers for a server behind a URL (mcp §6.10). The names are fixed, and nobody else can set them: no header
 * of a client is ever passed on, and an owner may not configure one of these.
 */
import type { JsonObject } from "../../core/data/Json.ts"
import * as HeaderText from "./HeaderText.ts"

/** All of them begin so; lower case, as headers are compared. */
export const PREFIX = "pilot-caller-"

/** The headers for what is known of a caller: `Pilot-Caller-Node-Id`, `-Address`, `-Hostname`, `-Fingerprint`, `-Public-Key`. */
export const of = (caller: JsonObject): Readonly<Record<string, string>> =>
  Object.fromEntries(
    MEMBERS.flatMap((member) => {
      const value = caller[member]
      return typeof value === "string" || typeof value === "number"
        ? [[`${PREFIX}${member.replace("_", "-")}`, HeaderText.encode(String(value))]]
        : []
    })
  )

const MEMBERS = ["node_id", "address", "hostname", "fingerprint", "public_key"]
