FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# With the optional packages: what builds the dashboard has its native parts among them. They are pruned below.
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/copy-assets.js scripts/build-dashboard.js scripts/run-step.js scripts/
COPY src src
RUN npm run build && npm prune --omit=dev --omit=optional --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
LABEL org.opencontainers.image.title="Mayfly" \
      org.opencontainers.image.description="Just-in-time credential broker: task-owned credentials for AI agents" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY config/policies config/policies
# Nothing is written but the audit file, which belongs on a volume: the root file system can be read-only.
USER 65532:65532
EXPOSE 8120 9120
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8120/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/cli/mayfly-cli.js", "serve"]
CMD ["--config", "/etc/mayfly/mayfly.yaml"]
