package admission

// LargeBodies is how many large bodies are being read.
func LargeBodies() int { return len(large) }
