# What the stage `pipeline` adds to the Makefile.
.PHONY: promote reproduce score steps track ui

steps: setup  ## write dvc.yaml as conf/steps.yaml declares
	@$(PYTHON) -m $(PACKAGE).steps dvc

reproduce: steps  ## run the steps whose code, data or parameters have changed; ARGS="train"
	@PATH="$(CURDIR)/.venv/bin:$$PATH" dvc repro $(ARGS)

track: setup  ## send runs to MLflow that wait to be sent; ARGS=status tells which
	@$(PYTHON) -m $(PACKAGE).tracking $(ARGS)

ui: setup  ## MLflow's pages in a browser, fetched the first time
	@UV=$(UV) $(PYTHON) -m $(PACKAGE).tracking ui $(ARGS)

promote: setup  ## champion and challenger; ARGS="champion latest"
	@$(PYTHON) -m $(PACKAGE).promote $(ARGS)

score: setup  ## score users, or the rows of a table, with the newest model; ARGS="scoring.top_k=10"
	@$(PYTHON) -m $(PACKAGE).score $(ARGS)
