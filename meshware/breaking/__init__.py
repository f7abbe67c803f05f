"""Taking out what fails and bringing it back: the gate on pybreaker, ejection, circuit, fleet guard."""
