// What OpenFeature's own providers make of the flags, on a server and in a browser's way.
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { OpenFeature as Web } from "@openfeature/web-sdk";

const baseUrl = process.argv[2];
const statuses = [];
const fetchImplementation = async (...asked) => {
  const response = await fetch(...asked);
  statuses.push(response.status);
  return response;
};
const shown = ({ value, reason, variant, errorCode }) => ({ value, reason, variant, errorCode });

await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl }));
const server = OpenFeature.getClient();
const context = { targetingKey: "user-42", country: "FR" };
const evaluated = {
  split: shown(await server.getStringDetails("fraud-detection", "none", context)),
  aimed: shown(
    await server.getStringDetails("fraud-detection", "none", { ...context, country: "DE" }),
  ),
  experiment: shown(await server.getStringDetails("ranking-test", "none", context)),
  unknown: shown(await server.getStringDetails("unknown", "none", context)),
  anonymous: shown(await server.getStringDetails("fraud-detection", "none", {})),
};

const provider = new OFREPWebProvider({
  baseUrl,
  fetchImplementation,
  pollInterval: 50,
  cacheMode: "disabled",
});
await Web.setContext(context);
await Web.setProviderAndWait(provider);
const browser = Web.getClient();
const kept = {
  split: shown(browser.getStringDetails("fraud-detection", "none")),
  experiment: shown(browser.getStringDetails("ranking-test", "none")),
};
const deadline = Date.now() + 60_000;
while (!statuses.includes(304) && Date.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
await Web.close();
await OpenFeature.close();
process.stdout.write(JSON.stringify({ evaluated, kept, statuses: [...new Set(statuses)] }));
process.exit(0);
