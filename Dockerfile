# The gateway as a small image that runs without root: mount the manifests at /gateway.d and a volume at /data.
#   docker build -t seal-gateway .
#   docker run -v ./gateway.d:/gateway.d:ro -v seal-data:/data -p 8089:8089 seal-gateway
# Podman keeps the health check only with `podman build --format docker`. docs/operations.md tells more.

# Any image with Node 24, npm and a shell.
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS source
WORKDIR /app
# Given with --build-arg where the default registry cannot be reached; npm reads it from the environment.
ARG NPM_CONFIG_REGISTRY
COPY package.json package-lock.json .npmrc ./

# No package needs its install script: better-sqlite3 brings its binaries.
FROM source AS dependencies
RUN npm ci --omit=dev --ignore-scripts --loglevel=error \
 && cd node_modules/better-sqlite3 && rm -rf deps src prebuilds/darwin-* prebuilds/win32-*

FROM source AS build
RUN npm ci --ignore-scripts --loglevel=error
COPY tsconfig.json ./
COPY schemas ./schemas
COPY src ./src
RUN npm run build

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="SEAL Gateway" \
      org.opencontainers.image.description="Signed envelopes, policy, credentials and audit between agents and their tools" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/schemas ./schemas
COPY --from=build /app/dist ./dist
# A number, so that Kubernetes can see that it is not root.
RUN mkdir -p /data /gateway.d && chown 65532:65532 /data
USER 65532:65532
# In a container these three are facts of the deployment; the environment wins over a gateway.yaml.
ENV NODE_ENV=production \
    SEAL_GATEWAY_BIND=0.0.0.0:8089 \
    SEAL_GATEWAY_DB=sqlite:///data/gateway.db \
    SEAL_GATEWAY_MANIFESTS_DIR=/gateway.d
VOLUME /data
EXPOSE 8089
# Asks the address that the gateway says it serves at, whatever the port, with TLS or without.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["node", "--no-warnings", "-e", \
  "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; const { data } = JSON.parse(require('node:fs').readFileSync('/data/serving.json')); fetch(data + '/healthz').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve", "--ready-file", "/data/serving.json"]
