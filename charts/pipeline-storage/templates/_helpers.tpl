{{/* The name of every object. It has no dots, because a Service's name may have none. */}}
{{- define "pipeline-storage.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name .Chart.Name -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- include "pipeline-storage.shorten" (.Values.fullnameOverride | default $name | replace "." "-") -}}
{{- end -}}

{{/* A name of at most 63 characters; a hash keeps different long names different. */}}
{{- define "pipeline-storage.shorten" -}}
{{- if gt (len .) 63 -}}
{{- printf "%s-%s" (trunc 54 . | trimAll "-.") (sha256sum . | trunc 8) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* The name of objects of the cluster: no other installation can have it, since namespaces have no dots. */}}
{{- define "pipeline-storage.clusterName" -}}
{{- printf "%s.%s" .Release.Namespace (include "pipeline-storage.fullname" .) -}}
{{- end -}}

{{/* The value of the label of the objects that the claims controller creates. */}}
{{- define "pipeline-storage.installation" -}}
{{- printf "%s.%s" .Release.Namespace .Release.Name | include "pipeline-storage.shorten" -}}
{{- end -}}

{{- define "pipeline-storage.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "pipeline-storage.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name must be given when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "pipeline-storage.priorityClassName" -}}
{{- .Values.priorityClassName | default (.Values.priorityClass.create | ternary (include "pipeline-storage.clusterName" .) "") -}}
{{- end -}}

{{/*
The name of the Secret with the certificate, or, with self, with the CA that signs it. cert-manager's has another name: neither
could use a Secret that the other created.
*/}}
{{- define "pipeline-storage.certificateSecret" -}}
{{- if eq .Values.certificates.mode "secret" -}}
{{- required "certificates.secretName must name your Secret when certificates.mode is secret" .Values.certificates.secretName -}}
{{- else -}}
{{- printf "%s-%s" (include "pipeline-storage.fullname" .) (eq .Values.certificates.mode "self" | ternary "webhook-ca" "tls") -}}
{{- end -}}
{{- end -}}

{{/* By these the Deployment and the Service find their pods. They never change. */}}
{{- define "pipeline-storage.selectorLabels" -}}
app.kubernetes.io/name: pipeline-storage
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pipeline-storage.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pipeline-storage.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{- include "pipeline-storage.refuseLabels" (list "commonLabels" .) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The labels that the values add to pods, or nothing. */}}
{{- define "pipeline-storage.podLabels" -}}
{{- with .Values.podLabels -}}
{{- include "pipeline-storage.refuseLabels" (list "podLabels" .) -}}
{{- end -}}
{{- with merge (dict) .Values.podLabels .Values.commonLabels -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "pipeline-storage.image" -}}
{{- with .Values.image -}}
{{- .repository -}}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The one egress rule of the NetworkPolicies: connections to the API server. */}}
{{- define "pipeline-storage.apiServerEgress" -}}
- ports:
    {{- range required "networkPolicy.apiServerPorts must have the ports of the API server: without any, the policy would allow every connection" .Values.networkPolicy.apiServerPorts }}
    - port: {{ . }}
    {{- end }}
  {{- with .Values.networkPolicy.apiServerTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
