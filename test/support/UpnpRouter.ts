/** A router that speaks UPnP, played: what it says, and what it was asked. */
import { Arbitrary } from "effect"
import * as Arb from "./Arbitraries.ts"

/** A description with those services: type without its prefix, and control URL. */
export const description = (services: ReadonlyArray<readonly [type: string, control: string]>): string =>
  `<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList>${services
    .map(
      ([type, control]) =>
        `<service>\n<serviceType>urn:schemas-upnp-org:service:${type}</serviceType>` +
        `<serviceId>urn:upnp-org:serviceId:x</serviceId><controlURL>${control}</controlURL></service>`
    )
    .join("\n")}</serviceList></device></root>`

/** The answer to a call. */
export const answer = (members: Readonly<Record<string, string | number>>): string =>
  `<s:Envelope><s:Body><u:Response>${Object.entries(members)
    .map(([name, value]) => `<${name}>${value}</${name}>`)
    .join("")}</u:Response></s:Body></s:Envelope>`

/** Text made of what these messages are made of, in any order. */
export const xmlLike: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.array(
    Arb.element(
      ...[
        "<service>",
        "</service>",
        "<serviceType>",
        "urn:schemas-upnp-org:service:WANIPConnection:1",
        "</serviceType>"
      ],
      ...["<controlURL>", "http://192.168.1.1/ctl", "http://192.168.1.9/ctl", "//evil/ctl", "</controlURL>"],
      ...["<URLBase>", "</URLBase>", "<NewExternalIPAddress>", "11.22.33.44", "</NewExternalIPAddress>"],
      ...["<errorCode>718</errorCode>", "HTTP/1.1 200 OK\r\n", "LOCATION: ", "\r\n", "<", "\u0000", "é"]
    ),
    { maxLength: 40 }
  ),
  (parts) => parts.join("")
)
