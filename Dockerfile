# check=error=true;experimental=all

# Base images are named by tag; a release adds the digests that it resolved them to, so that it can be built again:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=1.2.3 --build-arg REVISION=$(git rev-parse HEAD) \
#     --build-arg GO_DIGEST=sha256:… --build-arg BASE_DIGEST=sha256:… .

# GO_NAME is the compiler. Its version is that of tools/go.mod.
ARG GO_NAME=docker.io/library/golang:1.26.8
# GO_DIGEST pins it.
ARG GO_DIGEST=
# BASE_NAME is what the binaries stand on: no shell, no packages, user 65532.
ARG BASE_NAME=gcr.io/distroless/static-debian12:nonroot
# BASE_DIGEST pins it.
ARG BASE_DIGEST=

# build compiles on the machine's own platform for the target's: nothing is emulated.
FROM --platform=$BUILDPLATFORM ${GO_NAME}${GO_DIGEST:+@${GO_DIGEST}} AS build
WORKDIR /src
COPY . .
ARG TARGETOS
ARG TARGETARCH
# VERSION is the version that the binaries print.
ARG VERSION=0.0.0-dev
# Steps stay below WORKDIR: tools/image runs them on machines without a container engine, too.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -o bin/ \
      -ldflags "-s -w \
        -X github.com/pipeline-storage/pipeline-storage/cmd/webhook/app.version=$VERSION \
        -X github.com/pipeline-storage/pipeline-storage/cmd/postrender/app.version=$VERSION" \
      ./cmd/webhook ./cmd/postrender

FROM ${BASE_NAME}${BASE_DIGEST:+@${BASE_DIGEST}}
ARG BASE_NAME
ARG VERSION=0.0.0-dev
# REVISION is the commit that was built.
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pipeline-storage" \
      org.opencontainers.image.description="Durable storage for the pods of data pipelines: admission webhook and Helm post-renderer" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/pipeline-storage/pipeline-storage" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="$BASE_NAME"
COPY --chmod=0755 --from=build /src/bin/webhook /src/bin/postrender /
# By number, so that the kubelet can check that it is not root (runAsNonRoot).
USER 65532:65532
# Webhook, metrics, health probes.
EXPOSE 9443 8080 8081
# The kubelet probes /healthz and /readyz; there is no shell here that could.
HEALTHCHECK NONE
ENTRYPOINT ["/webhook"]
